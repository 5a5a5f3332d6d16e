import type { Type } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, type ModuleRef, ModulesContainer } from '@nestjs/core';
import { CacheEvictInterceptor } from '../cache-evict.interceptor.js';
import { CachedInterceptor } from '../cached.interceptor.js';
import { controllerMethods } from '../handlers/decorated-handlers.js';
import { evictionsOf } from '../handlers/decorator-metadata.js';
import { isRoute } from '../handlers/handler-functions.js';
import { insertInto, interceptorsOf, isOf, type ListedInterceptor, listOf } from './interceptor-order.js';

/**
 * Puts the eviction outside all other interceptors of every evicting handler: one of them may commit what the handler
 * changed, and a reader that comes between an eviction and the commit would store the old value again.
 *
 * To be called where `placeCache` is, for the same reason. Calling it again changes nothing.
 */
export function placeEvictions(moduleRef: ModuleRef): void {
  const modules = moduleRef.get(ModulesContainer, { strict: false });
  const config = moduleRef.get(ApplicationConfig, { strict: false });
  for (const { type, method } of controllerMethods(modules)) {
    if (!isRoute(method) || evictionsOf(method).length === 0 || isOutermost(config, type, method)) continue;
    const inner = [...listOf(type), ...listOf(method)];
    const hasGlobal = interceptorsOf(config, type, method).length > inner.length;
    if (hasGlobal) {
      const host = moduleRef.get(HttpAdapterHost, { strict: false });
      config.getGlobalInterceptors().unshift(new CacheEvictInterceptor(moduleRef, host));
    } else {
      insertInto(listOf(type).length > 0 ? type : method, 0, CacheEvictInterceptor);
    }
  }
}

function isOutermost(config: ApplicationConfig, controller: Type, handler: object): boolean {
  const others = interceptorsOf(config, controller, handler);
  const eviction = others.findIndex((interceptor) => isOf(interceptor, CacheEvictInterceptor));
  return eviction >= 0 && others.slice(0, eviction).every(isTheCache);
}

function isTheCache(interceptor: ListedInterceptor): boolean {
  return isOf(interceptor, CachedInterceptor);
}
