import { types } from 'node:util';

/** Deeper data is somebody's attack or a cycle. */
const DEEPEST = 100;

/**
 * JSON in which equal data has equal text: the names in an object are sorted, an array keeps its order. A property
 * that is `undefined` is left out.
 *
 * @throws TypeError for anything that JSON can't tell apart from something else: instances of classes, functions,
 *   symbols, NaN, objects with hidden properties, or nesting deeper than 100
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > DEEPEST) throw new TypeError('it is nested too deeply');
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value))
    return Object.is(value, -0) ? '-0' : JSON.stringify(value);
  if (isPlainArray(value))
    return `[${Array.from(value, (item) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (!isPlainRecord(value)) throw new TypeError(`it holds ${describe(value)}, which is not plain JSON`);
  return canonicalRecord(value, depth);
}

/** The same, of an object of which is known that it holds nothing but its own visible properties. */
export function canonicalRecord(record: Readonly<Record<string, unknown>>, depth = 0): string {
  let members = '';
  for (const name of Object.keys(record).sort()) {
    const value = record[name];
    const comma = members === '' ? '' : ',';
    members += `${comma}${JSON.stringify(name)}:${value === undefined ? 'undefined' : canonicalJson(value, depth + 1)}`;
  }
  return `{${members}}`;
}

/** An array that holds its items and nothing else, and is of no class that may keep more. */
function isPlainArray(value: unknown): value is readonly unknown[] {
  if (!Array.isArray(value) || types.isProxy(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isOfArray =
    typeof prototype === 'object' &&
    prototype !== null &&
    isObjectPrototype(Object.getPrototypeOf(prototype));
  return isOfArray && Reflect.ownKeys(value).length === value.length + 1;
}

/** A plain object all of whose own properties are seen by `Object.keys`. */
export function isPlainRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === null || isObjectPrototype(prototype)) && showsAll(value);
}

/** Whether an object has no own properties that `Object.keys` leaves out. */
export function showsAll(value: object): boolean {
  return Reflect.ownKeys(value).length === Object.keys(value).length;
}

/** Also that of another realm, such as the one a Jest test runs in. */
function isObjectPrototype(prototype: unknown): boolean {
  if (prototype === Object.prototype) return true;
  if (typeof prototype !== 'object' || prototype === null) return false;
  return (
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype as object, 'isPrototypeOf') &&
    Object.keys(prototype as object).length === 0
  );
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  return `an instance of ${value.constructor?.name ?? 'an unknown class'}`;
}
