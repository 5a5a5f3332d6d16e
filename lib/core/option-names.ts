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
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new CachekitConfigError(
    `${place}: unknown option "${unknown}". The options are ${names.join(', ')}.`,
  );
}
