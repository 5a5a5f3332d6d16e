import type { CacheBackend } from '../backends/cache-backend.js';
import { CachekitConfigError } from './errors.js';

const METHODS = ['get', 'getMany', 'set', 'replace', 'delete', 'clear', 'open', 'close'] as const;

/**
 * Checks that this is a backend: an object with the eight methods of the contract. (Not `instanceof`: a backend may
 * come from a package that has its own copy of this one.)
 *
 * @param place where it was given, for the message
 * @param hint what that place takes, for the message
 * @throws CachekitConfigError
 */
export function checkBackend(backend: CacheBackend, place: string, hint: string): void {
  if (isBackend(backend)) return;
  const given: unknown = backend;
  if (typeof given === 'function') {
    throw new CachekitConfigError(
      `${place}: got the class ${given.name}, not an instance of it. Write new ${given.name}(...).`,
    );
  }
  const missing = METHODS.filter((method) => typeof backend?.[method] !== 'function');
  const lack = missing.length === METHODS.length ? '' : `, it lacks ${missing.join(', ')}`;
  throw new CachekitConfigError(
    `${place}: ${given === undefined ? 'undefined' : 'this'} is not a cache backend${lack}. ` +
      'A backend is an instance such as new InMemoryBackend() or new RedisBackend({ url }), or of a class that ' +
      `extends CacheBackend. ${hint}`,
  );
}

/** Whether a value has the eight methods of a backend. */
export function isBackend(value: unknown): value is CacheBackend {
  const backend = value as CacheBackend | null | undefined;
  return typeof backend === 'object' && METHODS.every((method) => typeof backend?.[method] === 'function');
}
