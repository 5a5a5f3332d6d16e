import { RedisBackend } from 'nestjs-cachekit/redis';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';

describeOn('redis process', 'RedisBackend', () => {
  describeOutages({
    start: () => startRedis(),
    make: (port, namespace) => new RedisBackend({ url: `redis://127.0.0.1:${port}`, namespace }),
  });
});
