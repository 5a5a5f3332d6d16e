import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import type { CacheService } from 'nestjs-cachekit';
import { TTL_MS } from '../measure/get-or-set.js';
import type { Item } from '../measure/payload.js';
import type { ScaleKind } from './scale.js';

/** Something that holds many items. A reader gets a copy of its own from each of them. */
export interface ScaleStore {
  readonly set: (key: string, item: Item) => unknown;
  /** A promise, or the item. */
  readonly get: (key: string) => unknown;
}

/** @param cache ours, which the other questions need too */
export function scaleStore(kind: ScaleKind, entries: number, cache: CacheService): ScaleStore {
  if (kind === 'cachekit') {
    return { set: (key, item) => cache.set(key, item, '1h'), get: (key) => cache.get(key) };
  }
  if (kind === 'Map') return parsing(new Map<string, string>());
  if (kind === 'lru-cache') return parsing(new LRUCache<string, string>({ max: entries + 1_000 }));
  const rival = createCache({ ttl: TTL_MS, stores: [new Keyv()] });
  return { set: (key, item) => rival.set(key, item), get: (key) => rival.get(key) };
}

interface Texts {
  readonly set: (key: string, text: string) => unknown;
  readonly get: (key: string) => string | undefined;
}

/** What every cache in memory does at least: it keeps a text, and parses it for each reader. */
function parsing(texts: Texts): ScaleStore {
  return {
    set: (key, item) => texts.set(key, JSON.stringify(item)),
    get: (key) => {
      const text = texts.get(key);
      return text === undefined ? undefined : (JSON.parse(text) as Item);
    },
  };
}
