import { types } from 'node:util';

/** Kinds whose copies are as good as the originals, if nobody added anything to them. */
const COPIED_WHOLE: ReadonlySet<unknown> = new Set([
  Date.prototype,
  RegExp.prototype,
  URL.prototype,
  URLSearchParams.prototype,
  ArrayBuffer.prototype,
  Buffer.prototype,
  DataView.prototype,
  Int8Array.prototype,
  Uint8Array.prototype,
  Uint8ClampedArray.prototype,
  Int16Array.prototype,
  Uint16Array.prototype,
  Int32Array.prototype,
  Uint32Array.prototype,
  Float32Array.prototype,
  Float64Array.prototype,
  BigInt64Array.prototype,
  BigUint64Array.prototype,
]);

/**
 * Whether nobody can tell a copy of this answer from the answer itself: it holds data in enumerable properties, and
 * nothing that an interceptor outside of the cache could look for and miss: no class, no method, no symbol, no hidden
 * property, no array that is more than a list.
 */
export function isPlainAnswer(value: unknown, seen: Set<object> = new Set()): boolean {
  if (typeof value === 'function' || typeof value === 'symbol') return false;
  if (typeof value !== 'object' || value === null || seen.has(value)) return true;
  if (types.isProxy(value)) return false;
  seen.add(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (COPIED_WHOLE.has(prototype))
    return types.isArrayBufferView(value) || Reflect.ownKeys(value).length === 0;
  const contents = contentsOf(value, prototype);
  return contents !== undefined && contents.every((item) => isPlainAnswer(item, seen));
}

/** All that an object holds; `undefined` if it may hold more. */
function contentsOf(value: object, prototype: unknown): readonly unknown[] | undefined {
  const own = Reflect.ownKeys(value).length;
  if (Array.isArray(value)) {
    return prototype === Array.prototype && own === value.length + 1 && isList(value) ? value : undefined;
  }
  if (types.isMap(value)) return prototype === Map.prototype && own === 0 ? [...value].flat() : undefined;
  if (types.isSet(value)) return prototype === Set.prototype && own === 0 ? [...value] : undefined;
  const isPlain = prototype === null || prototype === Object.prototype;
  return isPlain && own === Object.keys(value).length ? Object.values(value) : undefined;
}

/** Whether an array has all its items and no other name: one that stands in for a missing item comes last. */
function isList(array: readonly unknown[]): boolean {
  const names = Object.keys(array);
  return names.length === array.length && (names.length === 0 || names.at(-1) === String(array.length - 1));
}
