import type { ModuleRef } from '@nestjs/core';
import { CacheEngine } from '../../core/cache-engine.js';
import { CacheService } from '../../core/cache.service.js';
import { CachekitConfigError } from '../../core/errors.js';
import { getCacheToken } from '../../core/tokens.js';
import {
  getHttpOptionsToken,
  resolveHttpOptions,
  type ResolvedHttpOptions,
} from '../options/http-options.js';

/**
 * The cache of that name in an app, `undefined` for the unnamed one; `undefined` if there is none, or a test put
 * something else in its place.
 */
export function findCache(moduleRef: ModuleRef, name: string | undefined): CacheService | undefined {
  const provided = providedAs(moduleRef, name);
  // A test's stand-in may be of the class and yet have nothing inside.
  return provided instanceof CacheService && provided.engine instanceof CacheEngine ? provided : undefined;
}

/** Whether an app has a cache of that name, or something that stands for it. */
export function hasCache(moduleRef: ModuleRef, name: string | undefined): boolean {
  return providedAs(moduleRef, name) !== undefined;
}

function providedAs(moduleRef: ModuleRef, name: string | undefined): unknown {
  try {
    return moduleRef.get<unknown>(getCacheToken(name), { strict: false });
  } catch {
    // Nest's way of saying that no module provides it.
    return undefined;
  }
}

/** What a cache knows of HTTP requests. */
export function findHttpOptions(moduleRef: ModuleRef, name: string | undefined): ResolvedHttpOptions {
  try {
    return moduleRef.get<ResolvedHttpOptions>(getHttpOptionsToken(name), { strict: false });
  } catch {
    // A cache that a test provides by itself. The defaults are the safe ones.
    return resolveHttpOptions({}, 'CachekitModule');
  }
}

/** What to throw where a decorator names a cache that the app does not have. */
export function missingCache(place: string, name: string | undefined): CachekitConfigError {
  return new CachekitConfigError(`${place}: the app has no ${cacheTitle(name)}.`);
}

/** A cache that an app lacks, and how to get it. */
function cacheTitle(name: string | undefined): string {
  return name === undefined
    ? 'unnamed cache: add CachekitModule.forRoot() to the imports of AppModule'
    : `cache named "${name}": add CachekitModule.forRoot(backend, { name: '${name}' }) to the imports of AppModule`;
}

/** Why nothing is cached in an app where `findCache` finds nothing. */
export function whyNoCache(moduleRef: ModuleRef, name: string | undefined): string {
  if (!hasCache(moduleRef, name)) return `the app has no ${cacheTitle(name)}`;
  return 'the provider of its CacheService was overridden. To keep caching in a test, override CacheBackend instead';
}
