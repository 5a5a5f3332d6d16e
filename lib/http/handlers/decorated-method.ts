import { CachekitConfigError } from '../../core/errors.js';

/** A method that a decorator stands on. */
export interface DecoratedMethod {
  /** The prototype of the class that declares it. */
  readonly prototype: object;
  readonly name: string;
  readonly descriptor: PropertyDescriptor;
  /** For messages: `@Cached on CatsController.find`. */
  readonly place: string;
}

/**
 * Checks that a decorator stands on an ordinary method of a class.
 *
 * @param decorator its name: `@Cached`
 * @throws CachekitConfigError on a class, a static method, an accessor or a property
 */
export function decoratedMethod(
  decorator: string,
  target: object,
  name: string | symbol | undefined,
  descriptor: PropertyDescriptor | undefined,
): DecoratedMethod {
  if (typeof target === 'function') {
    const place = name === undefined ? target.name : `the static method ${target.name}.${String(name)}`;
    throw new CachekitConfigError(
      `${decorator} on ${place}: it works on an ordinary method of a class that Nest makes, not here. ` +
        `Put ${decorator} on each such method.`,
    );
  }
  const place = `${decorator} on ${target.constructor.name}.${String(name)}`;
  const value: unknown = descriptor?.value;
  if (descriptor === undefined || typeof value !== 'function')
    throw new CachekitConfigError(`${place}: it works on methods, not on properties or accessors.`);
  if (typeof name === 'string') return { prototype: target, name, descriptor, place };
  throw new CachekitConfigError(`${place}: it works on methods with a name, not with a symbol in its place.`);
}

/** What a decorator says of a method: the function that stands for it at this moment. */
export function functionOf({ descriptor }: DecoratedMethod): object {
  return descriptor.value as object;
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
