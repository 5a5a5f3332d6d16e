import 'reflect-metadata';
import type { ResolvedCachedOptions } from './cached-options.js';
import type { ResolvedEviction } from './cache-evict-options.js';

const CACHED = 'cachekit:cached';
const EVICTIONS = 'cachekit:evictions';

/** What the `@Cached` on a method says; `undefined` without one. */
export function cachedOptionsOf(method: object): ResolvedCachedOptions | undefined {
  return Reflect.getMetadata(CACHED, method) as ResolvedCachedOptions | undefined;
}

/** Keeps what the `@Cached` on a method says. */
export function setCachedOptions(method: object, options: ResolvedCachedOptions): void {
  Reflect.defineMetadata(CACHED, options, method);
}

/** What the `@CacheEvict`s on a method say; empty without one. */
export function evictionsOf(method: object): readonly ResolvedEviction[] {
  return (Reflect.getMetadata(EVICTIONS, method) as readonly ResolvedEviction[] | undefined) ?? [];
}

/** Keeps what one more `@CacheEvict` on a method says. */
export function addEviction(method: object, eviction: ResolvedEviction): void {
  Reflect.defineMetadata(EVICTIONS, [...evictionsOf(method), eviction], method);
}
