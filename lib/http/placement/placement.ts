import type { NestInterceptor, Type } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, type ModuleRef, ModulesContainer } from '@nestjs/core';
import { CachedInterceptor } from '../cached.interceptor.js';
import { controllerMethods } from '../handlers/decorated-handlers.js';
import { cachedOptionsOf } from '../handlers/decorator-metadata.js';
import {
  globalRequestInterceptors,
  insertInto,
  interceptorsOf,
  isClassSerializer,
  isOf,
  type ListedInterceptor,
  listOf,
} from './interceptor-order.js';

/**
 * Puts the cache just outside the first class serializer of every cached handler, in whichever list that stands, so
 * that what is cached is what the serializer made: a field it leaves out is in no entry. Interceptors of the cache that
 * lie further inside then pass.
 *
 * To be called in a module's `configure()`: Nest copies the lists into its routes right after that. Calling it again, or
 * for another app made of the same classes, changes nothing.
 */
export function placeCache(moduleRef: ModuleRef): void {
  const modules = moduleRef.get(ModulesContainer, { strict: false });
  const config = moduleRef.get(ApplicationConfig, { strict: false });
  for (const { type, method } of controllerMethods(modules)) {
    if (cachedOptionsOf(method) === undefined || isOutsideSerializers(config, type, method)) continue;
    if (hasGlobalSerializer(config)) {
      const host = moduleRef.get(HttpAdapterHost, { strict: false });
      insertGlobally(config, new CachedInterceptor(moduleRef, modules, config, host));
    } else {
      const target = listOf(type).some(isClassSerializer) ? type : method;
      insertInto(target, listOf(target).findIndex(isClassSerializer), CachedInterceptor);
    }
  }
}

function isOutsideSerializers(config: ApplicationConfig, controller: Type, handler: object): boolean {
  const interceptors = interceptorsOf(config, controller, handler);
  const serializer = interceptors.findIndex(isClassSerializer);
  return serializer < 0 || interceptors.slice(0, serializer).some(isCache);
}

function hasGlobalSerializer(config: ApplicationConfig): boolean {
  return [...config.getGlobalInterceptors(), ...globalRequestInterceptors(config)].some(isClassSerializer);
}

/** A serializer that is made for each request stands in another list, which comes after this one. */
function insertGlobally(config: ApplicationConfig, cache: NestInterceptor): void {
  const interceptors = config.getGlobalInterceptors();
  const serializer = interceptors.findIndex(isClassSerializer);
  interceptors.splice(serializer < 0 ? interceptors.length : serializer, 0, cache);
}

function isCache(interceptor: ListedInterceptor): boolean {
  return isOf(interceptor, CachedInterceptor);
}
