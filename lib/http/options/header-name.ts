import { CachekitConfigError } from '../../core/errors.js';

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** For each option that lists headers, some that fit. */
const EXAMPLES = {
  credentials: "['cookie', 'x-api-key']",
  headers: "['x-total-count']",
  vary: "['accept-language']",
} as const;

/**
 * Checks a list of header names and answers them in lower case, without repeats.
 *
 * @throws CachekitConfigError
 */
export function checkHeaderNames(
  names: readonly string[],
  option: keyof typeof EXAMPLES,
  place: string,
): readonly string[] {
  const legal =
    Array.isArray(names) &&
    names.every((name) => typeof name === 'string' && TOKEN.test(name) && name !== '*');
  if (legal) return [...new Set(names.map((name) => name.toLowerCase()))];
  throw new CachekitConfigError(
    `${place}: the option ${option} must be an array of header names, such as ${EXAMPLES[option]}.`,
  );
}
