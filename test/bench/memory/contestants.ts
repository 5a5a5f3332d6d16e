import { cachified } from '@epic-web/cachified';
import { CACHE_MANAGER, CacheModule } from '@nestjs/cache-manager';
import { NestFactory } from '@nestjs/core';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { type Cache, createCache } from 'cache-manager';
import { Cacheable, createKeyv } from 'cacheable';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import { CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { type Contestant, TTL_MS } from '../measure/get-or-set.js';
import type { Item } from '../measure/payload.js';

/** The most entries, for everybody who has such an option. */
const MOST_ENTRIES = 10_000;

/** Every way to cache in memory that is compared, under the name it has in the report. */
export const MEMORY_CONTESTANTS: Readonly<Record<string, () => Promise<Contestant>>> = {
  cachekit: async () => cachekit(true),
  'cachekit, isolate: false': async () => cachekit(false),
  '@nestjs/cache-manager': nestCacheManager,
  // With its default serializer, which makes copies.
  'cache-manager on Keyv': async () => fromCacheManager(createCache({ ttl: TTL_MS, stores: [new Keyv()] })),
  bentocache: async () => bentocache(),
  cacheable: async () => cacheable(),
  cachified: async () => cachifiedOnLru(),
  'lru-cache, await get': async () => bareLru(),
  'lru-cache + JSON.parse': async () => parsingLru(),
};

function cachekit(isolate: boolean): Contestant {
  const backend = new InMemoryBackend({ maxEntries: MOST_ENTRIES });
  const cache = new CacheService(backend, { isolate });
  return {
    getOrSet: (key, load) => cache.getOrSet(key, load, '1h'),
    clear: () => cache.clear(),
    close: () => backend.close(),
  };
}

/** The cache that an app gets by `CacheModule.register()`. */
async function nestCacheManager(): Promise<Contestant> {
  const app = await NestFactory.createApplicationContext(CacheModule.register({ ttl: TTL_MS }), {
    logger: false,
  });
  return { ...fromCacheManager(app.get<Cache>(CACHE_MANAGER)), close: () => app.close() };
}

function fromCacheManager(cache: Cache): Contestant {
  return {
    getOrSet: (key, load) => cache.wrap(key, load, TTL_MS),
    clear: () => cache.clear(),
    close: () => cache.disconnect(),
  };
}

function bentocache(): Contestant {
  const store = bentostore().useL1Layer(memoryDriver({ maxItems: MOST_ENTRIES }));
  const cache = new BentoCache({ default: 'memory', stores: { memory: store } });
  return {
    getOrSet: (key, factory) => cache.getOrSet({ key, factory, ttl: TTL_MS }),
    clear: () => cache.clear(),
    close: () => cache.disconnectAll(),
  };
}

function cacheable(): Contestant {
  const cache = new Cacheable({ primary: createKeyv({ lruSize: MOST_ENTRIES }) });
  return {
    getOrSet: (key, load) => cache.getOrSet(key, load, { ttl: TTL_MS }),
    clear: () => cache.clear(),
    close: () => cache.disconnect(),
  };
}

function cachifiedOnLru(): Contestant {
  const lru = new LRUCache<string, { value: unknown; metadata: never }>({ max: MOST_ENTRIES });
  // Its documentation's way to use lru-cache: the map itself.
  const cache = lru as unknown as Parameters<typeof cachified<Item>>[0]['cache'];
  return {
    getOrSet: (key, getFreshValue) => cachified({ key, cache, ttl: TTL_MS, getFreshValue }),
    clear: () => lru.clear(),
  };
}

function bareLru(): Contestant {
  const lru = new LRUCache<string, Item>({ max: MOST_ENTRIES, ttl: TTL_MS });
  const loadInto = async (key: string, load: () => Promise<Item>): Promise<Item> => {
    const item = await load();
    lru.set(key, item);
    return item;
  };
  return { getOrSet: (key, load) => lru.get(key) ?? loadInto(key, load), clear: () => lru.clear() };
}

function parsingLru(): Contestant {
  const lru = new LRUCache<string, string>({ max: MOST_ENTRIES, ttl: TTL_MS });
  const loadInto = async (key: string, load: () => Promise<Item>): Promise<Item> => {
    const text = JSON.stringify(await load());
    lru.set(key, text);
    return JSON.parse(text) as Item;
  };
  const getOrSet = (key: string, load: () => Promise<Item>): Item | Promise<Item> => {
    const text = lru.get(key);
    return text === undefined ? loadInto(key, load) : (JSON.parse(text) as Item);
  };
  return { getOrSet, clear: () => lru.clear() };
}
