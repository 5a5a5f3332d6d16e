import { MemcachedBackend } from 'nestjs-cachekit/memcached';

export const backend = new MemcachedBackend({
  url: process.env['MEMCACHED_URL'] ?? 'memcached://localhost:11211',
});
