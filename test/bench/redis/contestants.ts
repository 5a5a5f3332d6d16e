import { type Cache as CachifiedCache, cachified } from '@epic-web/cachified';
import { createKeyv } from '@keyv/redis';
import { BentoCache, bentostore } from 'bentocache';
import { redisDriver } from 'bentocache/drivers/redis';
import { createCache } from 'cache-manager';
import { Redis } from 'ioredis';
import { CacheService } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { patient } from '../../remote-backends.js';
import { type Contestant, TTL_MS } from '../measure/get-or-set.js';
import type { Item } from '../measure/payload.js';

/** Every way to cache in Redis that is compared. All of them hand out copies; each has keys of its own. */
export const REDIS_CONTESTANTS: Readonly<Record<string, (url: string) => Promise<Contestant>>> = {
  cachekit: async (url) => cachekit(url),
  'ioredis + JSON.parse': async (url) => bareIoredis(url),
  'cache-manager on @keyv/redis': async (url) => cacheManager(url),
  bentocache: async (url) => bentocache(url),
  cachified: async (url) => cachifiedOnIoredis(url),
};

function cachekit(url: string): Contestant {
  const backend = patient(new RedisBackend({ url, namespace: 'bench-cachekit' }));
  const cache = new CacheService(backend);
  return {
    getOrSet: (key, load) => cache.getOrSet(key, load, '1h'),
    clear: () => cache.clear(),
    close: () => backend.close(),
  };
}

function bareIoredis(url: string): Contestant {
  const redis = new Redis(url, { keyPrefix: 'bench-ioredis:' });
  return {
    getOrSet: async (key, load) => {
      const found = await redis.get(key);
      if (found !== null) return JSON.parse(found) as Item;
      const text = JSON.stringify(await load());
      await redis.set(key, text, 'PX', TTL_MS);
      return JSON.parse(text) as Item;
    },
    clear: () => unlinkAll(redis, 'bench-ioredis:'),
    close: () => redis.disconnect(),
  };
}

async function cacheManager(url: string): Promise<Contestant> {
  const cache = createCache({ ttl: TTL_MS, stores: [createKeyv(url, { namespace: 'bench-keyv' })] });
  return {
    getOrSet: (key, load) => cache.wrap(key, load, TTL_MS),
    clear: () => cache.clear(),
    close: () => cache.disconnect(),
  };
}

function bentocache(url: string): Contestant {
  const connection = new Redis(url);
  const store = bentostore().useL2Layer(redisDriver({ connection, prefix: 'bench-bento' }));
  const cache = new BentoCache({ default: 'redis', stores: { redis: store } });
  return {
    getOrSet: (key, factory) => cache.getOrSet({ key, factory, ttl: TTL_MS }),
    clear: () => cache.clear(),
    close: () => cache.disconnectAll(),
  };
}

/** With what its documentation asks of an adapter, on the client that we use too. */
function cachifiedOnIoredis(url: string): Contestant {
  const redis = new Redis(url, { keyPrefix: 'bench-cachified:' });
  const cache: CachifiedCache = {
    get: async (key) => {
      const found = await redis.get(key);
      return found === null ? undefined : JSON.parse(found);
    },
    set: (key, entry) => redis.set(key, JSON.stringify(entry), 'PX', TTL_MS),
    delete: (key) => redis.unlink(key),
  };
  return {
    getOrSet: (key, getFreshValue) => cachified({ key, cache, ttl: TTL_MS, getFreshValue }),
    clear: () => unlinkAll(redis, 'bench-cachified:'),
    close: () => redis.disconnect(),
  };
}

async function unlinkAll(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    const names = (keys as string[]).map((key) => key.slice(prefix.length));
    if (names.length > 0) await redis.unlink(names);
  }
}
