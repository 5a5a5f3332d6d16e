import { CachekitConfigError } from '../core/errors.js';

/**
 * Refuses an option that is there and `undefined`: a provider of the app that was not there, in whose place the default
 * would be another server.
 *
 * @param names of the options that hand something in
 * @param backend its class, for the message
 * @throws CachekitConfigError
 */
export function refuseUndefined<T extends object>(
  options: T,
  names: readonly (keyof T & string)[],
  backend: string,
): void {
  const missing = names.find((name) => name in options && options[name] === undefined);
  if (missing === undefined) return;
  throw new CachekitConfigError(
    `${backend}: the option "${missing}" is undefined. Leave it out, or give it a value.`,
  );
}

/**
 * Whether what an app hands in has these methods. A class check would refuse the client of another copy of its package.
 */
export function hasMethods(given: unknown, names: readonly string[]): boolean {
  if (typeof given !== 'object' || given === null) return false;
  return names.every((name) => typeof Reflect.get(given, name) === 'function');
}
