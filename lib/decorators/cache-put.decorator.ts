import { CachekitConfigError } from '../core/errors.js';
import { checkParentheses, decoratedMethod, functionOf } from '../http/handlers/decorated-method.js';
import { cachedOptionsOf } from '../http/handlers/decorator-metadata.js';
import { type CachePutOptions, resolvePut } from '../methods/cache-put-options.js';
import { putAfterMethod } from '../methods/put-method.js';
import { putOf, setPut } from '../methods/put-metadata.js';
import { CACHED_AND_CHANGING } from './cached.decorator.js';

/**
 * Runs a method of a provider always, and stores its answer as what another method of the class, one with `@Cached`,
 * would answer: with its ttl and its tags. What can't be stored removes the old answer. A failure of the cache is logged
 * and told to `onEvent`; the method does not fail.
 *
 * @throws CachekitConfigError for an unknown or wrong option, without parentheses, and on anything but a method
 */
export function CachePut<T = unknown>(options: CachePutOptions<T>): MethodDecorator {
  checkParentheses('@CachePut', arguments, "@CachePut({ method: '...' })");
  return (target, name, descriptor) => {
    const member = decoratedMethod('@CachePut', target, name, descriptor);
    const { place } = member;
    const plain = functionOf(member);
    if (putOf(plain) !== undefined) throw new CachekitConfigError(`${place}: there are two of them.`);
    if (cachedOptionsOf(plain) !== undefined)
      throw new CachekitConfigError(`${place}: ${CACHED_AND_CHANGING}`);
    const put = resolvePut(options, place);
    putAfterMethod(member, put);
    setPut(functionOf(member), put);
  };
}
