import 'reflect-metadata';
import { ApplicationConfig, type ModuleRef, ModulesContainer } from '@nestjs/core';
import { CachekitConfigError } from '../../core/errors.js';
import { CachedInterceptor } from '../cached.interceptor.js';
import { controllerMethods } from './decorated-handlers.js';
import { cachedOptionsOf, evictionsOf } from './decorator-metadata.js';
import { hasCache, missingCache } from './app-caches.js';
import { isRoute } from './handler-functions.js';
import { HandlerPlans } from './handler-plans.js';
import { misuseOf } from './make-plan.js';
import { NEST_METADATA } from './nest-metadata.js';

/**
 * Checks every decorated handler of a route of an app, and warns of those that will not be cached. To be called in a
 * module's `onModuleInit()`, when Nest knows all classes and the router has its routes.
 *
 * @throws CachekitConfigError for a decorator on a handler where it has no effect, or that names a cache the app lacks
 */
export function checkHandlers(moduleRef: ModuleRef): void {
  const modules = moduleRef.get(ModulesContainer, { strict: false });
  const config = moduleRef.get(ApplicationConfig, { strict: false });
  const plans = HandlerPlans.of({ moduleRef, modules, config, cacheInterceptor: CachedInterceptor });
  for (const { type, method } of controllerMethods(modules)) {
    if (!isRoute(method)) continue;
    checkEvictions(moduleRef, method);
    const options = cachedOptionsOf(method);
    if (options === undefined) continue;
    const misuse = misuseOf(moduleRef, method, options);
    if (misuse !== undefined) throw misuse;
    plans.planOf(type, method);
  }
}

function checkEvictions(moduleRef: ModuleRef, handler: object): void {
  for (const { place, cache, method } of evictionsOf(handler)) {
    if (!hasCache(moduleRef, cache)) throw missingCache(place, cache);
    if (method !== undefined) {
      throw new CachekitConfigError(
        `${place}: the option method names an answer of a method to its arguments. Answers to requests are of many ` +
          'users, and have no such name: give both handlers the same tags.',
      );
    }
    if (!Reflect.hasMetadata(NEST_METADATA.sse, handler)) continue;
    throw new CachekitConfigError(
      `${place}: an event stream (@Sse) has no moment of success to evict at. ` +
        'Inject CacheService and call invalidateTags(...tags) when something changed.',
    );
  }
}
