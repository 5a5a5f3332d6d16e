import { after, before, describe, it } from 'node:test';
import { InMemoryBackend } from 'nestjs-cachekit';
import { describeBackend } from 'nestjs-cachekit/testing';

const runner = { describe, it, beforeAll: before, afterAll: after };

describeBackend('InMemoryBackend', (namespace) => new InMemoryBackend({ namespace }), runner);
