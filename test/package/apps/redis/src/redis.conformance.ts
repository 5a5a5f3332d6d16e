import { after, before, describe, it } from 'node:test';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describeBackend, type TestRunner } from 'nestjs-cachekit/testing';

const runner: TestRunner = { describe, it, beforeAll: before, afterAll: after };
const [url = ''] = process.argv.slice(2);

/** A machine that is busy with tests may need longer than the usual quarter of a second. */
class PatientBackend extends RedisBackend {
  override readonly deadlines = { readMs: 10_000, writeMs: 10_000 };
}

// Run it as `node redis.conformance.js redis://...`
describeBackend('RedisBackend', (namespace) => new PatientBackend({ url, namespace }), runner);
