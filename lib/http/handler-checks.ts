import 'reflect-metadata';
import { ApplicationConfig, type ModuleRef, ModulesContainer } from '@nestjs/core';
import { CachekitConfigError } from '../core/errors.js';
import { CachedInterceptor } from './cached.interceptor.js';
import { controllerMethods, providerMethods } from './decorated-handlers.js';
import { cachedOptionsOf, evictionsOf } from './decorator-metadata.js';
import { hasCache, missingCache } from './app-caches.js';
import { misuseOf } from './handler-plan.js';
import { HandlerPlans } from './handler-plans.js';
import { NEST_METADATA } from './nest-metadata.js';

/**
 * Checks every decorated method of an app, and warns of handlers that will not be cached. To be called in a module's
 * `onModuleInit()`, when Nest knows all classes and the router has its routes.
 *
 * @throws CachekitConfigError for a decorator on a method where it has no effect, or that names a cache the app lacks
 */
export function checkHandlers(moduleRef: ModuleRef): void {
  const modules = moduleRef.get(ModulesContainer, { strict: false });
  const config = moduleRef.get(ApplicationConfig, { strict: false });
  for (const { method } of providerMethods(modules)) refuseOnProvider(method);
  const plans = HandlerPlans.of({ moduleRef, modules, config, cacheInterceptor: CachedInterceptor });
  for (const { type, method } of controllerMethods(modules)) {
    checkEvictions(moduleRef, method);
    const options = cachedOptionsOf(method);
    if (options === undefined) continue;
    const misuse = misuseOf(moduleRef, method, options);
    if (misuse !== undefined) throw misuse;
    plans.planOf(type, method);
  }
}

function refuseOnProvider(method: object): void {
  const cached = cachedOptionsOf(method);
  if (cached !== undefined) {
    throw new CachekitConfigError(
      `${cached.place}: it works on handlers of HTTP controllers, and has no effect here. ` +
        'Inject CacheService and call getOrSet(key, load).',
    );
  }
  const [eviction] = evictionsOf(method);
  if (eviction !== undefined) throw new CachekitConfigError(`${eviction.place}: ${EVICT_ELSEWHERE}`);
}

function checkEvictions(moduleRef: ModuleRef, method: object): void {
  for (const { place, cache } of evictionsOf(method)) {
    if (!hasCache(moduleRef, cache)) throw missingCache(place, cache);
    const isRoute = Reflect.hasMetadata(NEST_METADATA.method, method);
    if (!isRoute) throw new CachekitConfigError(`${place}: ${EVICT_ELSEWHERE}`);
    if (!Reflect.hasMetadata(NEST_METADATA.sse, method)) continue;
    throw new CachekitConfigError(
      `${place}: an event stream (@Sse) has no moment of success to evict at. ` +
        'Inject CacheService and call invalidateTags(...tags) when something changed.',
    );
  }
}

const EVICT_ELSEWHERE =
  'it works on handlers of HTTP controllers, and has no effect here. Inject CacheService and call invalidateTags(...tags).';
