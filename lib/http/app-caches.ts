import type { ModuleRef } from '@nestjs/core';
import type { CacheService } from '../core/cache.service.js';
import { CachekitConfigError } from '../core/errors.js';
import { getCacheToken } from '../core/tokens.js';
import { getHttpOptionsToken, resolveHttpOptions, type ResolvedHttpOptions } from './http-options.js';

/** The cache of that name in an app, `undefined` for the unnamed one; `undefined` if there is none. */
export function findCache(moduleRef: ModuleRef, name: string | undefined): CacheService | undefined {
  try {
    return moduleRef.get<CacheService>(getCacheToken(name), { strict: false });
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
export function cacheTitle(name: string | undefined): string {
  return name === undefined
    ? 'unnamed cache: add CachekitModule.forRoot() to the imports of AppModule'
    : `cache named "${name}": add CachekitModule.forRoot(backend, { name: '${name}' }) to the imports of AppModule`;
}
