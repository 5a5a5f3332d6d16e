import { after, before, describe, it } from 'node:test';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describeBackend, type TestRunner } from 'nestjs-cachekit/testing';

const runner: TestRunner = { describe, it, beforeAll: before, afterAll: after };
const [url = ''] = process.argv.slice(2);

// Run it as `node redis.conformance.js redis://...`
describeBackend('RedisBackend', (namespace) => new RedisBackend({ url, namespace }), runner);
