import type { DecoratedMethod } from '../http/handlers/decorated-method.js';
import type { ResolvedCachedOptions } from '../http/options/cached-options.js';
import { isRoute } from '../http/handlers/handler-functions.js';
import { addCachedMethod } from './cached-methods.js';
import { MethodCache } from './method-cache.js';
import { wrapMethod } from './wrap-method.js';

/** Caches the answers of a method. Handlers of HTTP routes are left to the interceptor. */
export function cacheMethod(member: DecoratedMethod, options: ResolvedCachedOptions): void {
  if (isRoute(member.descriptor.value)) return;
  const owner = member.prototype.constructor.name;
  const cached = new MethodCache({ owner, prototype: member.prototype, name: member.name, options });
  addCachedMethod(member.prototype, cached);
  wrapMethod(member, cached.call);
}
