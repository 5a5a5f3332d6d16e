import { Inject } from '@nestjs/common';
import { getCacheToken } from './tokens.js';

/**
 * Injects the `CacheService` of a named cache: `constructor(@InjectCache('sessions') private cache: CacheService) {}`.
 *
 * @param name absent for the unnamed cache, which the type `CacheService` alone injects as well
 */
export function InjectCache(name?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getCacheToken(name));
}
