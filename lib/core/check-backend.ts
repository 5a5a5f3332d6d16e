import type { CacheBackend } from '../backends/cache-backend.js';
import { CachekitConfigError } from './errors.js';

const METHODS = ['get', 'getMany', 'set', 'replace', 'delete', 'clear', 'open', 'close'] as const;

/**
 * Checks that this is a backend: an object with the eight methods of the contract. (Not `instanceof`: a backend may
 * come from a package that has its own copy of this one.)
 *
 * @param place where it was given, for the message
 * @throws CachekitConfigError
 */
export function checkBackend(backend: CacheBackend, place: string): void {
  if (isBackend(backend)) return;
  const given: unknown = backend;
  if (typeof given === 'function') {
    throw new CachekitConfigError(
      `${place}: got the class ${given.name}, not an instance of it. Write new ${given.name}(...).`,
    );
  }
  const missing = METHODS.filter((method) => typeof backend?.[method] !== 'function');
  throw new CachekitConfigError(
    `${place}: this is not a cache backend, it lacks ${missing.join(', ')}. ` +
      'Give an instance such as new InMemoryBackend() or new RedisBackend({ url }), or extend CacheBackend. ' +
      'Options come second: forRoot(backend, { ttl }).',
  );
}

/** Whether a value has the eight methods of a backend. */
export function isBackend(value: unknown): value is CacheBackend {
  const backend = value as CacheBackend | null | undefined;
  return typeof backend === 'object' && METHODS.every((method) => typeof backend?.[method] === 'function');
}
