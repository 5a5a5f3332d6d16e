import { UseInterceptors } from '@nestjs/common';
import { CachekitConfigError } from '../core/errors.js';
import { CacheEvictInterceptor } from './cache-evict.interceptor.js';
import { CACHED_AND_EVICTING } from './cached.decorator.js';
import { checkParentheses, decoratedMethod } from './decorated-method.js';
import { addEviction, cachedOptionsOf, evictionsOf } from './decorator-metadata.js';
import { type CacheEvictOptions, resolveEviction } from './cache-evict-options.js';

/**
 * Evicts by tags when a handler of a controller succeeds: it neither throws nor answers with an error status. The
 * answer is sent after the eviction. One that fails is logged and told to `onEvent`; the request does not fail.
 *
 * A handler that answers by itself (`@Res()`) evicts when it returns, one that answers with a stream before the stream
 * is read. Several on one handler all take effect.
 *
 * @throws CachekitConfigError for an unknown or wrong option, without parentheses, and on anything but a method
 */
export function CacheEvict(options: CacheEvictOptions): MethodDecorator {
  checkParentheses('@CacheEvict', arguments, "@CacheEvict({ tags: ['...'] })");
  return (target, name, descriptor) => {
    const { method, place } = decoratedMethod('@CacheEvict', target, name, descriptor);
    if (cachedOptionsOf(method) !== undefined)
      throw new CachekitConfigError(`${place}: ${CACHED_AND_EVICTING}`);
    const isFirst = evictionsOf(method).length === 0;
    addEviction(method, resolveEviction(options, place));
    if (isFirst) UseInterceptors(CacheEvictInterceptor)(target, name, descriptor);
  };
}
