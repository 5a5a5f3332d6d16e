import { types } from 'node:util';
import { UnserializableValueError } from './errors.js';
import { PortableError } from './portable-error.js';

/** Deeper values are left to devalue, which copes with cycles; JSON.stringify would throw on one. */
const DEEPEST_JSON = 200;

/**
 * Whether a value is plain JSON: what `JSON.parse(JSON.stringify(value))` gives back as it was.
 *
 * @throws UnserializableValueError for an own `__proto__` key
 */
export function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== 'object' || depth > DEEPEST_JSON) return false;
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1)) && !hasHole(value);
  if (!isPlainObject(value)) return false;
  for (const name of Object.keys(value)) {
    refuseProto(name);
    if (!isJson(value[name], depth + 1)) return false;
  }
  return !hasToJson(value);
}

/**
 * Whether an instance of a class lies anywhere in a value, one that would come back as a plain object. Dates, maps
 * and the other kinds that survive the serializer don't count.
 */
export function holdsInstance(value: unknown, seen: Set<object> = new Set()): boolean {
  if (typeof value !== 'object' || value === null || isLeaf(value) || seen.has(value)) return false;
  seen.add(value);
  if (types.isMap(value)) return [...value].flat().some((item) => holdsInstance(item, seen));
  if (types.isSet(value)) return [...value].some((item) => holdsInstance(item, seen));
  if (Array.isArray(value)) return value.some((item) => holdsInstance(item, seen));
  if (!isPlainObject(value)) return true;
  return Object.values(value).some((item) => holdsInstance(item, seen));
}

/**
 * A copy in which only data is left: instances of classes as their own properties or what their `toJSON` answers,
 * errors as `PortableError`, functions and symbols among the properties of an object dropped, as JSON does.
 *
 * @throws UnserializableValueError for a function or a symbol that is not a property, and for an own `__proto__` key
 */
export function toData(value: unknown, copies: Map<object, unknown> = new Map()): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') throw notData(value);
  if (typeof value !== 'object' || value === null || isLeaf(value)) return value;
  if (isHandle(value)) throw notData(value);
  const known = copies.get(value);
  if (known !== undefined) return known;
  if (types.isNativeError(value)) return copyError(value, copies);
  if (types.isMap(value)) return copyMap(value, copies);
  if (types.isSet(value)) return copySet(value, copies);
  if (Array.isArray(value)) return copyArray(value, copies);
  if (hasToJson(value)) return copyJsonForm(value, copies);
  return copyObject(value, copies);
}

/** Kinds that devalue stores by themselves, and that hold no other values. */
function isLeaf(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isArrayBufferView(value) ||
    types.isArrayBuffer(value) ||
    types.isBoxedPrimitive(value) ||
    value instanceof URL ||
    value instanceof URLSearchParams
  );
}

/** Objects that stand for something else than their properties: stored as those, they would be empty. */
function isHandle(value: object): boolean {
  return (
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value)
  );
}

function copyError(error: Error, copies: Map<object, unknown>): PortableError {
  const properties: Record<string, unknown> = {};
  const { name, message, stack } = error;
  const copy = new PortableError({ name, message, stack, properties });
  copies.set(error, copy);
  if ('cause' in error) properties['cause'] = toData(error.cause, copies);
  if ('errors' in error) properties['errors'] = toData(error.errors, copies);
  copyProperties(error, properties, copies);
  return copy;
}

function copyMap(map: Map<unknown, unknown>, copies: Map<object, unknown>): Map<unknown, unknown> {
  const copy = new Map<unknown, unknown>();
  copies.set(map, copy);
  for (const [name, item] of map) copy.set(toData(name, copies), toData(item, copies));
  return copy;
}

function copySet(set: Set<unknown>, copies: Map<object, unknown>): Set<unknown> {
  const copy = new Set<unknown>();
  copies.set(set, copy);
  for (const item of set) copy.add(toData(item, copies));
  return copy;
}

function copyArray(array: readonly unknown[], copies: Map<object, unknown>): unknown[] {
  const copy: unknown[] = [];
  // All holes at first, and holes stay holes.
  copy.length = array.length;
  copies.set(array, copy);
  array.forEach((item, index) => {
    copy[index] = toData(item, copies);
  });
  return copy;
}

function copyJsonForm(value: { toJSON: () => unknown }, copies: Map<object, unknown>): unknown {
  const form = toData(value.toJSON(), copies);
  copies.set(value, form);
  return form;
}

function copyObject(value: object, copies: Map<object, unknown>): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  copies.set(value, copy);
  copyProperties(value, copy, copies);
  return copy;
}

function copyProperties(from: object, to: Record<string, unknown>, copies: Map<object, unknown>): void {
  for (const [name, item] of Object.entries(from)) {
    refuseProto(name);
    if (typeof item !== 'function' && typeof item !== 'symbol') to[name] = toData(item, copies);
  }
}

function refuseProto(name: string): void {
  if (name !== '__proto__') return;
  throw new UnserializableValueError(
    "This value can't be cached: an object in it has an own key named __proto__, which would change the prototype " +
      'of whatever it is later assigned to. Remove that key.',
  );
}

function notData(value: unknown): UnserializableValueError {
  return new UnserializableValueError(
    `This value can't be cached: it holds a ${kindOf(value)}, which is not data. Cache what it answers or holds instead` +
      `${types.isPromise(value) ? ' (is an await missing?)' : ''}.`,
  );
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? value.constructor.name : typeof value;
}

/** Also true for plain objects of another realm, such as the one a Jest test runs in. */
function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function hasToJson(value: object): value is { toJSON: () => unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}

function hasHole(array: readonly unknown[]): boolean {
  for (let index = 0; index < array.length; index++) if (!(index in array)) return true;
  return false;
}
