import { Observable } from 'rxjs';
import type { CacheBackend } from '../backends/cache-backend.js';
import { CacheEngine } from './cache-engine.js';
import { CacheNamespace } from './cache-namespace.js';
import { checkBackend } from './check-backend.js';
import type { CacheEvent } from './events.js';
import { checkOptionNames } from './option-names.js';
import { CACHE_OPTIONS, type CacheOptions, resolveCacheOptions } from './options.js';
import type { CacheStats } from './stats.js';

/**
 * A cache to inject: `constructor(private readonly cache: CacheService) {}`. It works without Nest too:
 * `new CacheService(new InMemoryBackend())`, with `backend.close()` at the end.
 */
export class CacheService extends CacheNamespace {
  /** What happens in this cache, from when it is subscribed to. It never completes, and never fails. */
  readonly events$: Observable<CacheEvent>;

  /**
   * @param backend opens itself at the first operation, if nobody opened it before
   * @throws CachekitConfigError, RangeError for wrong options
   */
  constructor(backend: CacheBackend, options: CacheOptions = {}) {
    checkBackend(backend, 'CacheService', 'Options come second: new CacheService(backend, { ttl }).');
    checkOptionNames(options, CACHE_OPTIONS, 'CacheService');
    super(new CacheEngine(backend, resolveCacheOptions(options, 'CacheService')), '', []);
    this.events$ = new Observable((subscriber) => this.engine.listen((event) => subscriber.next(event)));
  }

  /** What happened in this cache, HTTP answers included, in this process, since it was made. */
  stats(): CacheStats {
    return this.engine.stats();
  }
}
