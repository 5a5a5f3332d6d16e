import { RedisBackend } from 'nestjs-cachekit/redis';

export const backend = new RedisBackend({
  url: process.env['REDIS_URL'] ?? 'redis://localhost:6379',
});
