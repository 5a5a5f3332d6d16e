import { CachekitConfigError } from '../core/errors.js';

/**
 * Checks that a decorator stands on an ordinary method of a class.
 *
 * @param name of the decorator: `@Cached`
 * @returns the method, and where it is, for messages: `@Cached on CatsController.find`
 * @throws CachekitConfigError on a class, a static method, an accessor or a property
 */
export function decoratedMethod(
  name: string,
  target: object,
  method: string | symbol | undefined,
  descriptor: PropertyDescriptor | undefined,
): { method: object; place: string } {
  if (typeof target === 'function') {
    const place = method === undefined ? target.name : `the static method ${target.name}.${String(method)}`;
    throw new CachekitConfigError(
      `${name} on ${place}: it works on a handler of a controller, that is an ordinary method, not here. ` +
        `Put ${name}() on each handler.`,
    );
  }
  const place = `${name} on ${target.constructor.name}.${String(method)}`;
  const value: unknown = descriptor?.value;
  if (typeof value === 'function') return { method: value, place };
  throw new CachekitConfigError(`${place}: it works on methods, not on properties or accessors.`);
}

/**
 * Checks that a decorator was written with its parentheses. Without them it is called with what it stands on: a class,
 * a method (both functions), or a prototype and the name of a member.
 *
 * @param name of the decorator: `@Cached`
 * @param given all its arguments
 * @param example how it is written: `@Cached()`
 * @throws CachekitConfigError
 */
export function checkParentheses(name: string, given: ArrayLike<unknown>, example: string): void {
  const [target, member] = Array.from(given);
  const isMember = typeof member === 'string' || typeof member === 'symbol';
  if (typeof target === 'function') throw missingParentheses(name, target.name, example);
  if (typeof target !== 'object' || target === null || !isMember) return;
  throw missingParentheses(name, `${target.constructor.name}.${String(member)}`, example);
}

function missingParentheses(name: string, place: string, example: string): CachekitConfigError {
  return new CachekitConfigError(`${name} on ${place}: its parentheses are missing, write ${example}.`);
}
