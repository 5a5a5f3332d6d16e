import { InMemoryBackend, TieredBackend } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';

describeOn('redis process', 'TieredBackend on a Redis', () => {
  describeOutages({
    start: () => startRedis(),
    make: (port, namespace) =>
      new TieredBackend({
        near: new InMemoryBackend(),
        far: new RedisBackend({ url: `redis://127.0.0.1:${port}`, namespace }),
      }),
  });
});
