import { types } from 'node:util';
import { isPlainAnswer } from '../http/answer/plain-answer.js';

/** Where contexts of requests, messages and sockets keep who asks, as far as they are plain objects. */
const TELLING_NAMES: readonly string[] = [
  'user',
  'session',
  'handshake',
  'connectionParams',
  'extra',
  'req',
  'request',
  'getHeaders',
  'getArgs',
  'switchToHttp',
];

/** In the data of a socket stands the user, in that of a Map of contexts a context: further down it is the app's data. */
const DEEPEST = 2;

/**
 * Whether an argument is or holds something that may say who asks, though it is no request: an object that does
 * something, or one with a property that contexts have. An instance of a class that is nothing but data is none.
 */
export function holdContext(args: readonly unknown[]): boolean {
  return args.some((argument) => isContextLike(argument, 0));
}

function isContextLike(value: unknown, depth: number): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  if (types.isProxy(value) || TELLING_NAMES.some((name) => Object.hasOwn(value, name))) return true;
  if (ArrayBuffer.isView(value)) return false;
  if (hasMethods(value) && !isPlainAnswer(value) && !Array.isArray(value) && !isCollection(value))
    return true;
  if (depth === DEEPEST) return false;
  return contentsOf(value).some((item) => isContextLike(item, depth + 1));
}

/** Whether its class, or one that it extends, declares more than a constructor. */
function hasMethods(value: object): boolean {
  let prototype: unknown = Object.getPrototypeOf(value);
  while (typeof prototype === 'object' && prototype !== null) {
    const above: unknown = Object.getPrototypeOf(prototype);
    const isRoot = above === null && Object.hasOwn(prototype, 'isPrototypeOf');
    if (!isRoot && Reflect.ownKeys(prototype).some((name) => name !== 'constructor')) return true;
    prototype = above;
  }
  return false;
}

function isCollection(value: object): boolean {
  return types.isMap(value) || types.isSet(value);
}

function contentsOf(value: object): readonly unknown[] {
  const own: unknown[] = Object.values(value);
  return types.isMap(value) || types.isSet(value) ? [...own, ...value.values()] : own;
}
