import { type Type, UseInterceptors } from '@nestjs/common';
import { CachekitConfigError } from '../core/errors.js';
import type { Ttl } from '../core/ttl.js';
import { CachedInterceptor } from '../http/cached.interceptor.js';
import {
  type CachedOptions,
  type ResolvedCachedOptions,
  resolveCachedOptions,
} from '../http/options/cached-options.js';
import { cacheHandlers } from '../http/handlers/class-level.js';
import { checkParentheses, decoratedMethod, functionOf } from '../http/handlers/decorated-method.js';
import {
  cachedOptionsOf,
  evictionsOf,
  hasOwnClassOptions,
  setCachedOptions,
  setClassOptions,
} from '../http/handlers/decorator-metadata.js';
import { cacheMethod } from '../methods/cache-method.js';
import { putOf } from '../methods/put-metadata.js';

/**
 * Caches the answers
 * - of a GET handler of a controller: `@Get(':id') @Cached('1m')`. Guards run on every request, hits included; pipes and
 *   the handler only when there is no fresh answer;
 * - on a controller, of all its GET handlers. A handler's own `@Cached` wins; `@Cached(0)` keeps it out;
 * - of a method of any provider, by its arguments. It answers with a promise, and everybody gets a copy.
 *
 * Without `CachekitModule.forRoot()` in the app, on an instance made with `new`, and when a handler is called directly,
 * it does nothing.
 *
 * @param options a ttl, or options. Default: the cache's ttl. `0` does not cache
 * @throws RangeError for an impossible ttl
 * @throws CachekitConfigError for an unknown or wrong option, without parentheses, and on anything but methods and
 *   classes
 */
export function Cached(options: Ttl | CachedOptions = {}): ClassDecorator & MethodDecorator {
  checkParentheses('@Cached', arguments, '@Cached()');
  return (target: object, name?: string | symbol, descriptor?: PropertyDescriptor): void => {
    if (isClass(target) && name === undefined) cacheClass(target, options);
    else cacheMember(target, name, descriptor, options);
  };
}

function isClass(target: object): target is Type {
  return typeof target === 'function';
}

function cacheClass(type: Type, options: Ttl | CachedOptions): void {
  const place = `@Cached on ${type.name}`;
  if (hasOwnClassOptions(type)) throw new CachekitConfigError(`${place}: there are two of them.`);
  const resolved = resolveCachedOptions(options, place);
  setClassOptions(type, resolved);
  cacheHandlers(type, resolved);
}

function cacheMember(
  target: object,
  name: string | symbol | undefined,
  descriptor: PropertyDescriptor | undefined,
  options: Ttl | CachedOptions,
): void {
  const member = decoratedMethod('@Cached', target, name, descriptor);
  const { place } = member;
  const plain = functionOf(member);
  if (cachedOptionsOf(plain) !== undefined) throw new CachekitConfigError(`${place}: there are two of them.`);
  if (evictionsOf(plain).length > 0 || putOf(plain) !== undefined)
    throw new CachekitConfigError(`${place}: ${CACHED_AND_CHANGING}`);
  const resolved: ResolvedCachedOptions = resolveCachedOptions(options, place);
  cacheMethod(member, resolved);
  setCachedOptions(functionOf(member), resolved);
  UseInterceptors(CachedInterceptor)(target, member.name, member.descriptor);
}

/** Why `@Cached` can't stand beside a decorator of something that changes data. */
export const CACHED_AND_CHANGING =
  'a method has either @Cached, or @CacheEvict and @CachePut. What is cached does not run on a hit, so it could ' +
  'not evict or write then; split it in two.';
