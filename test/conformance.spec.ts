import { InMemoryBackend } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describeBackend } from 'nestjs-cachekit/testing';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { describeOn } from './servers/describe-on.js';

const runner = { describe, it, beforeAll, afterAll };

describeBackend('InMemoryBackend', (namespace) => new InMemoryBackend({ namespace }), runner);

describeOn('redis', 'on a Redis', () => {
  describeBackend(
    'RedisBackend',
    (namespace) => new RedisBackend({ url: inject('redisUrl'), namespace }),
    runner,
  );
});
