import 'reflect-metadata';
import { RequestMethod, type Type } from '@nestjs/common';
import { type ModuleRef, ModulesContainer } from '@nestjs/core';
import { CachedInterceptor } from '../cached.interceptor.js';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import { controllersOf, methodsOf } from './decorated-handlers.js';
import { cachedOptionsOf, classOptionsOf, evictionsOf, setCachedOptions } from './decorator-metadata.js';
import { standInFor } from './handler-functions.js';
import { insertInto, listOf } from '../placement/interceptor-order.js';
import { NEST_METADATA } from './nest-metadata.js';

/** The handlers whose `@Cached` is that of a class, with the class: one that extends it may have another, and its name. */
const cachedByClass = new WeakMap<object, Type>();

/**
 * Gives a `@Cached` of a class to those of its controllers that only inherit it, and to the handlers they have added.
 * To be called before `placeCache`. Calling it again, or for another app made of the same classes, changes nothing.
 */
export function cacheInheritingControllers(moduleRef: ModuleRef): void {
  for (const type of controllersOf(moduleRef.get(ModulesContainer, { strict: false }))) {
    const options = classOptionsOf(type);
    if (options !== undefined) cacheHandlers(type, options);
  }
}

/** Gives the `@Cached` of a class to its GET handlers, those that say nothing of caching themselves. */
export function cacheHandlers(type: Type, options: ResolvedCachedOptions): void {
  for (const [name, method] of methodsOf(type)) {
    if (!takesFromClass(method)) continue;
    if (cachedByClass.get(method) === type) continue;
    const handler = ownHandler(type.prototype as object, name, method);
    setCachedOptions(handler, { ...options, place: `@Cached on ${type.name}, for ${name}` });
    cachedByClass.set(handler, type);
    // The innermost of all: what runs on every request without the cache does so with it.
    if (!listOf(handler).includes(CachedInterceptor))
      insertInto(handler, listOf(handler).length, CachedInterceptor);
  }
}

function takesFromClass(method: object): boolean {
  if (Reflect.getMetadata(NEST_METADATA.method, method) !== RequestMethod.GET) return false;
  if (Reflect.hasMetadata(NEST_METADATA.sse, method) || evictionsOf(method).length > 0) return false;
  return cachedOptionsOf(method) === undefined || cachedByClass.has(method);
}

/** The handler as a function of this class alone: other classes that inherit it may not be cached. */
function ownHandler(prototype: object, name: string, method: object): object {
  if (Object.hasOwn(prototype, name)) return method;
  const own = function (this: unknown, ...args: unknown[]): unknown {
    return (method as (...args: unknown[]) => unknown).apply(this, args);
  };
  standInFor(method, own);
  Object.defineProperty(prototype, name, { value: own, writable: true, configurable: true });
  return own;
}
