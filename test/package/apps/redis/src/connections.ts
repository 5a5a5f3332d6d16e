import { Cluster, Redis } from 'ioredis';
import { type CacheBackend, CachekitConfigError } from 'nestjs-cachekit';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';

const options: RedisBackendOptions = { url: 'redis://localhost', options: { db: 1 }, namespace: 'shop' };

/** Every way to name a server. It is only type-checked: a Cluster client connects as soon as it is made. */
export function everyConnection(): CacheBackend[] {
  return [
    new RedisBackend(),
    new RedisBackend(options),
    new RedisBackend({ options: { host: 'localhost', tls: {}, connectTimeout: 500 } }),
    new RedisBackend({ options: { sentinels: [{ host: 'localhost', port: 26379 }], name: 'mymaster' } }),
    new RedisBackend({ nodes: [{ host: 'localhost', port: 7000 }], options: { redisOptions: { tls: {} } } }),
    new RedisBackend({ client: new Redis('redis://localhost') }),
    new RedisBackend({ client: new Cluster([{ host: 'localhost', port: 7000 }]) }),
  ];
}

export function isConfigError(error: unknown): error is CachekitConfigError {
  return error instanceof CachekitConfigError;
}
