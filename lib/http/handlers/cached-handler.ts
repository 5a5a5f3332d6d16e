import type { NestInterceptor, Type } from '@nestjs/common';
import type { ApplicationConfig, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { ResolvedCachedOptions } from '../options/cached-options.js';

/** What of an app a plan is made from. */
export interface AppParts {
  readonly moduleRef: ModuleRef;
  readonly modules: ModulesContainer;
  readonly config: ApplicationConfig;
  /** The interceptor that caches; what is listed before it lies outside the cache. */
  readonly cacheInterceptor: Type<NestInterceptor>;
}

/** A handler with a `@Cached`, in a controller of an app. */
export interface CachedHandler {
  readonly app: AppParts;
  readonly controller: Type;
  readonly handler: object;
  readonly options: ResolvedCachedOptions;
}
