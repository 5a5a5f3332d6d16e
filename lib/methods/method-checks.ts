import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { type ModuleRef, ModulesContainer } from '@nestjs/core';
import { CachekitConfigError } from '../core/errors.js';
import { warnOnce } from '../core/warn-once.js';
import { hasCache, missingCache } from '../http/handlers/app-caches.js';
import type { ResolvedCachedOptions } from '../http/options/cached-options.js';
import {
  controllersOf,
  type KnownMethod,
  knownMethodsOf,
  providersOf,
} from '../http/handlers/decorated-handlers.js';
import { cachedOptionsOf, evictionsOf, hasOwnClassOptions } from '../http/handlers/decorator-metadata.js';
import { isRoute } from '../http/handlers/handler-functions.js';
import { cachedMethodsOf, findCachedMethod } from './cached-methods.js';
import { isMadeByHand } from './module-ref.js';
import { putOf } from './put-metadata.js';

/**
 * Checks the decorated methods of all providers and controllers of an app that are no handlers of HTTP routes, and
 * warns of those that will not be cached. To be called in a module's `onModuleInit()`.
 *
 * @throws CachekitConfigError for a decorator that can't work where it is, or that names a cache the app lacks
 */
export function checkMethods(moduleRef: ModuleRef): void {
  const modules = moduleRef.get(ModulesContainer, { strict: false });
  const providers = providersOf(modules);
  for (const type of providers) refuseOnClass(type);
  for (const known of [...providers, ...controllersOf(modules)].flatMap(knownMethodsOf)) {
    if (isRoute(known.method)) refusePutOnRoute(known);
    else checkMethod(known, moduleRef);
  }
  for (const instance of instancesIn(modules)) warnOfInstance(instance, moduleRef);
}

function checkMethod(known: KnownMethod, moduleRef: ModuleRef): void {
  const { type, method } = known;
  const cached = cachedOptionsOf(method);
  if (cached !== undefined) {
    if (!hasCache(moduleRef, cached.cache)) throw missingCache(cached.place, cached.cache);
    refuseHttpOptions(cached);
    refuseSynchronous(known, cached.place);
  }
  for (const eviction of evictionsOf(method)) {
    if (!hasCache(moduleRef, eviction.cache)) throw missingCache(eviction.place, eviction.cache);
    if (eviction.method !== undefined) refuseUncached(type, eviction.method, eviction.place);
    refuseSynchronous(known, eviction.place);
  }
  const put = putOf(method);
  if (put === undefined) return;
  refuseUncached(type, put.method, put.place);
  refuseSynchronous(known, put.place);
}

function refuseOnClass(type: Type): void {
  if (!hasOwnClassOptions(type)) return;
  throw new CachekitConfigError(
    `@Cached on ${type.name}: on a class it works for controllers, whose GET handlers it caches. ` +
      'Put @Cached() on each method that is to be cached.',
  );
}

function refusePutOnRoute({ method }: KnownMethod): void {
  const put = putOf(method);
  if (put === undefined) return;
  throw new CachekitConfigError(
    `${put.place}: it works on methods of providers, and has no effect on the handler of a route. ` +
      'Put it on the method that the handler calls.',
  );
}

/** What is said of requests has no meaning here, and to ignore it would be to share what was meant to be private. */
function refuseHttpOptions({
  place,
  scope,
  vary,
  query,
  headers,
  cacheControl,
  body,
}: ResolvedCachedOptions): void {
  const given = {
    "scope: 'private'": scope === 'private',
    vary: vary.length > 0,
    query: query !== undefined,
    headers: headers.length > 0,
    cacheControl: cacheControl !== false,
    body: body !== undefined,
  };
  const [option] = Object.entries(given).find(([, isGiven]) => isGiven) ?? [];
  if (option === undefined) return;
  throw new CachekitConfigError(
    `${place}: the option ${option} is about HTTP requests, and this method gets none. What its answer depends on, ` +
      'who asks included, must be among its arguments.',
  );
}

/** As far as the compiler left word of what the method returns (`emitDecoratorMetadata`). */
function refuseSynchronous({ type, name }: KnownMethod, place: string): void {
  const returned: unknown = Reflect.getMetadata('design:returntype', type.prototype as object, name);
  if (typeof returned !== 'function' || returned === Promise || returned === Object) return;
  throw new CachekitConfigError(
    `${place}: it returns a ${returned.name}, but a cache answers with a promise. Declare it async, with the return ` +
      'type Promise<...>, and await it where it is called.',
  );
}

function refuseUncached(type: Type, method: string, place: string): void {
  if (findCachedMethod(type.prototype as object, method) !== undefined) return;
  throw new CachekitConfigError(
    `${place}: ${type.name} has no method ${method} with @Cached that is not the handler of a route.`,
  );
}

function instancesIn(modules: ModulesContainer): ReadonlySet<object> {
  const wrappers = [...modules.values()].flatMap(({ providers, controllers, injectables }) => [
    ...providers.values(),
    ...controllers.values(),
    ...injectables.values(),
  ]);
  const lasting = wrappers.filter((wrapper) => wrapper.isDependencyTreeStatic() && !wrapper.isTransient);
  const instances: unknown[] = lasting.map(({ instance }): unknown => instance);
  return new Set(instances.filter((instance) => typeof instance === 'object' && instance !== null));
}

/** Now, when the app starts, not at the first call. */
function warnOfInstance(instance: object, moduleRef: ModuleRef): void {
  if (isMadeByHand(instance)) {
    const { name } = instance.constructor;
    warnOnce(
      `made by hand: ${name}`,
      `${name}: its @Cached, @CacheEvict and @CachePut do nothing, since this provider was made with new, by a ` +
        'factory or as a value. Give Nest the class itself: providers: ' +
        `[${name}], or { provide: ..., useClass: ${name} }.`,
    );
    return;
  }
  for (const cached of cachedMethodsOf(instance)) cached.planOf(instance, moduleRef);
}
