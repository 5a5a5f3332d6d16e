import type { CacheBackend } from '../backends/cache-backend.js';
import { CacheEngine } from './cache-engine.js';
import { CacheNamespace } from './cache-namespace.js';
import { checkBackend } from './check-backend.js';
import { checkOptionNames } from './option-names.js';
import { CACHE_OPTIONS, type CacheOptions, resolveCacheOptions } from './options.js';

/**
 * A cache to inject: `constructor(private readonly cache: CacheService) {}`. It works without Nest too:
 * `new CacheService(new InMemoryBackend())`, with `backend.close()` at the end.
 */
export class CacheService extends CacheNamespace {
  /**
   * @param backend opens itself at the first operation, if nobody opened it before
   * @throws CachekitConfigError, RangeError for wrong options
   */
  constructor(backend: CacheBackend, options: CacheOptions = {}) {
    checkBackend(backend, 'CacheService', 'Options come second: new CacheService(backend, { ttl }).');
    checkOptionNames(options, CACHE_OPTIONS, 'CacheService');
    super(new CacheEngine(backend, resolveCacheOptions(options, 'CacheService')), '', []);
  }
}
