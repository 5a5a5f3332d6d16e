import { CacheBackend } from '../backends/cache-backend.js';
import { CacheService } from './cache.service.js';

/** A provider token: a class for the unnamed cache, a string for a named one. */
export type CacheToken<T> = (abstract new (...args: never[]) => T) | string;

/**
 * The provider token of a cache's `CacheService`.
 *
 * @param name of the cache; absent for the unnamed one, whose token is the class `CacheService`
 */
export function getCacheToken(name?: string): CacheToken<CacheService> {
  return name === undefined ? CacheService : `cachekit:${name}:service`;
}

/**
 * The provider token of a cache's backend, for `overrideProvider` in a test.
 *
 * @param name of the cache; absent for the unnamed one, whose token is the class `CacheBackend`
 */
export function getBackendToken(name?: string): CacheToken<CacheBackend> {
  return name === undefined ? CacheBackend : `cachekit:${name}:backend`;
}
