import { UseInterceptors } from '@nestjs/common';
import { CachekitConfigError } from '../core/errors.js';
import type { Ttl } from '../core/ttl.js';
import { CachedInterceptor } from './cached.interceptor.js';
import { type CachedOptions, resolveCachedOptions } from './cached-options.js';
import { checkParentheses, decoratedMethod } from './decorated-method.js';
import { cachedOptionsOf, evictionsOf, setCachedOptions } from './decorator-metadata.js';

/**
 * Caches the answers of a GET handler of a controller: `@Get(':id') @Cached('1m')`.
 *
 * Guards run on every request, hits included; pipes and the handler only when there is no fresh answer. Without
 * `CachekitModule.forRoot()` in the app, and when the method is called directly, it does nothing.
 *
 * @param options a ttl, or options. Default: the cache's ttl. `0` does not cache
 * @throws RangeError for an impossible ttl
 * @throws CachekitConfigError for an unknown or wrong option, without parentheses, and on anything but a method
 */
export function Cached(options: Ttl | CachedOptions = {}): MethodDecorator {
  checkParentheses('@Cached', arguments, '@Cached()');
  return (target, name, descriptor) => {
    const { method, place } = decoratedMethod('@Cached', target, name, descriptor);
    if (cachedOptionsOf(method) !== undefined)
      throw new CachekitConfigError(`${place}: there are two of them.`);
    if (evictionsOf(method).length > 0) throw new CachekitConfigError(`${place}: ${CACHED_AND_EVICTING}`);
    setCachedOptions(method, resolveCachedOptions(options, place));
    UseInterceptors(CachedInterceptor)(target, name, descriptor);
  };
}

/** Why `@Cached` and `@CacheEvict` can't stand on one handler. */
export const CACHED_AND_EVICTING =
  'the handler also has the other of @Cached and @CacheEvict. A cached handler does not run on a hit, so it could ' +
  'not evict then; split it in two.';
