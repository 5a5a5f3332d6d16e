import 'reflect-metadata';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import type { ResolvedEviction } from '../options/cache-evict-options.js';

const CACHED = 'cachekit:cached';
const CACHED_CLASS = 'cachekit:cached-class';
const EVICTIONS = 'cachekit:evictions';

/** What the `@Cached` on a method says, or that of its class; `undefined` without one. */
export function cachedOptionsOf(method: object): ResolvedCachedOptions | undefined {
  return Reflect.getMetadata(CACHED, method) as ResolvedCachedOptions | undefined;
}

/** Keeps what the `@Cached` on a method says. */
export function setCachedOptions(method: object, options: ResolvedCachedOptions): void {
  Reflect.defineMetadata(CACHED, options, method);
}

/** What the `@Cached` on a class, or on one that it extends, says; `undefined` without one. */
export function classOptionsOf(type: object): ResolvedCachedOptions | undefined {
  return Reflect.getMetadata(CACHED_CLASS, type) as ResolvedCachedOptions | undefined;
}

/** Keeps what the `@Cached` on a class says. */
export function setClassOptions(type: object, options: ResolvedCachedOptions): void {
  Reflect.defineMetadata(CACHED_CLASS, options, type);
}

/** Whether a class has a `@Cached` itself, not only one that it extends. */
export function hasOwnClassOptions(type: object): boolean {
  return Reflect.hasOwnMetadata(CACHED_CLASS, type);
}

/** What the `@CacheEvict`s on a method say; empty without one. */
export function evictionsOf(method: object): readonly ResolvedEviction[] {
  return (Reflect.getMetadata(EVICTIONS, method) as readonly ResolvedEviction[] | undefined) ?? [];
}

/** Keeps what one more `@CacheEvict` on a method says. */
export function addEviction(method: object, eviction: ResolvedEviction): void {
  Reflect.defineMetadata(EVICTIONS, [...evictionsOf(method), eviction], method);
}
