import { CachekitConfigError } from './errors.js';

/** No character of it is a separator or a pattern in any store, so no name runs into what follows it. */
const LEGAL = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * Checks the name of a cache or a namespace, and answers it.
 *
 * @param what what it names, and where it was given: `RedisBackend: the namespace`
 * @throws CachekitConfigError for another name
 */
export function checkName(name: string, what: string): string {
  if (typeof name === 'string' && LEGAL.test(name)) return name;
  throw new CachekitConfigError(
    `${what} ${JSON.stringify(name)} is not allowed. Use 1 to 64 of the characters A-Z a-z 0-9 _ . -`,
  );
}
