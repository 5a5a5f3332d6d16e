import { InMemoryBackend } from 'nestjs-cachekit';
import { describeBackend } from 'nestjs-cachekit/testing';

const runner = { describe, it, beforeAll, afterAll };

describeBackend('InMemoryBackend', (namespace) => new InMemoryBackend({ namespace }), runner);
