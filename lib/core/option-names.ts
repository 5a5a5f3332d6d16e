import { CachekitConfigError } from './errors.js';

/**
 * Checks that options are an object, and that there is no option of another name: a typing error in JavaScript, or
 * a name from a rival's documentation, must not be ignored silently.
 *
 * @throws CachekitConfigError
 */
export function checkOptionNames(options: object | null, names: readonly string[], place: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new CachekitConfigError(`${place}: the options must be an object.`);
  }
  // Own keys, enumerable or not: a decorator written without its parentheses is called with a prototype.
  for (const name of Reflect.ownKeys(options)) {
    if (typeof name === 'string' && names.includes(name)) continue;
    throw new CachekitConfigError(
      `${place}: unknown option "${String(name)}". The options are ${names.join(', ')}.`,
    );
  }
}
