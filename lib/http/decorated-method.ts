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
