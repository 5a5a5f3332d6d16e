import { UseInterceptors } from '@nestjs/common';
import { CachekitConfigError } from '../core/errors.js';
import { CacheEvictInterceptor } from '../http/cache-evict.interceptor.js';
import { type CacheEvictOptions, resolveEviction } from '../http/options/cache-evict-options.js';
import { checkParentheses, decoratedMethod, functionOf } from '../http/handlers/decorated-method.js';
import { addEviction, cachedOptionsOf, evictionsOf } from '../http/handlers/decorator-metadata.js';
import { evictAfterMethod } from '../methods/evict-method.js';
import { CACHED_AND_CHANGING } from './cached.decorator.js';

/**
 * Evicts when a method of a provider, or a handler of a controller, succeeds: it does not throw, and a handler's answer
 * has no error status. The answer is given after the eviction. One that fails is logged and told to `onEvent`; the
 * method does not fail. Several on one method all take effect.
 *
 * A method that answers an `Observable` evicts after its last value. A handler that answers by itself (`@Res()`) evicts
 * when it returns, one that answers with a stream before the stream is read.
 *
 * @throws CachekitConfigError for an unknown or wrong option, without parentheses, and on anything but a method
 */
export function CacheEvict(options: CacheEvictOptions): MethodDecorator {
  checkParentheses('@CacheEvict', arguments, "@CacheEvict({ tags: ['...'] })");
  return (target, name, descriptor) => {
    const member = decoratedMethod('@CacheEvict', target, name, descriptor);
    const { place } = member;
    const plain = functionOf(member);
    if (cachedOptionsOf(plain) !== undefined)
      throw new CachekitConfigError(`${place}: ${CACHED_AND_CHANGING}`);
    const eviction = resolveEviction(options, place);
    evictAfterMethod(member, eviction);
    const isFirst = evictionsOf(plain).length === 0;
    addEviction(functionOf(member), eviction);
    if (isFirst) UseInterceptors(CacheEvictInterceptor)(target, name, descriptor);
  };
}
