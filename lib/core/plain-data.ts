import { Stream } from 'node:stream';
import { types } from 'node:util';
import { UnserializableValueError } from './errors.js';
import { PortableError } from './portable-error.js';

/** Deeper values are left to devalue, which copes with cycles; JSON.stringify would throw on one. */
const DEEPEST_JSON = 200;
/** So are larger ones: a graph of shared references that is small in memory may be endless as JSON. */
const LARGEST_JSON = 1_000_000;
/** An array may be this much longer than the number of its items; to walk through the holes takes time. */
const MOST_HOLES = 1_000_000;

/**
 * Whether a value is plain JSON: what `JSON.parse(JSON.stringify(value))` gives back as it was.
 *
 * @throws UnserializableValueError for an own `__proto__` key
 */
export function isJson(value: unknown): boolean {
  let parts = 0;
  const visit = (part: unknown, depth: number): boolean => {
    if (part === null || typeof part === 'string' || typeof part === 'boolean') return true;
    if (typeof part === 'number') return Number.isFinite(part) && !Object.is(part, -0);
    if (typeof part !== 'object' || depth > DEEPEST_JSON || ++parts > LARGEST_JSON || hasToJson(part))
      return false;
    if (Array.isArray(part)) return !hasHole(part) && part.every((item) => visit(item, depth + 1));
    if (!isPlainObject(part)) return false;
    return Object.keys(part).every((name) => {
      refuseProto(name);
      return visit(part[name], depth + 1);
    });
  };
  return visit(value, 0);
}

/**
 * A copy in which only data is left: instances of classes as their own properties or what their `toJSON` answers,
 * errors as `PortableError`, functions and symbols among the properties of an object dropped, as JSON does.
 *
 * @throws UnserializableValueError for what is not data: a function or a symbol that is not a property, a promise, a
 *   stream and the like, an own `__proto__` key
 */
export function toData(value: unknown): unknown {
  return copyOf(value, new Map());
}

/** The copies made so far; `undefined` for an error that is being copied. */
type Copies = Map<object, unknown>;

function copyOf(value: unknown, copies: Copies): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') throw notData(value);
  if (typeof value !== 'object' || value === null) return value;
  if (types.isArrayBufferView(value)) return ownMemory(value);
  if (isLeaf(value)) return value;
  if (copies.has(value)) return copies.get(value);
  if (types.isNativeError(value)) return copyError(value, copies);
  if (types.isMap(value)) return copyMap(value, copies);
  if (types.isSet(value)) return copySet(value, copies);
  if (hasToJson(value)) return copyJsonForm(value, copies);
  if (Array.isArray(value)) return copyArray(value, copies);
  if (isHandle(value)) throw notData(value);
  return copyObject(value, copies);
}

/**
 * A view on bytes as one that has its memory for itself. devalue stores all the memory that lies under a view, and
 * under a small one of Node's lies a pool of 8 KiB, with what other requests left there.
 */
function ownMemory(view: NodeJS.ArrayBufferView): NodeJS.ArrayBufferView {
  const hasItsOwn = view.byteLength === view.buffer.byteLength && !types.isSharedArrayBuffer(view.buffer);
  if (Buffer.isBuffer(view) || hasItsOwn) return view;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  if (types.isDataView(view)) return new DataView(bytes.buffer);
  const Kind = view.constructor as new (memory: ArrayBufferLike) => NodeJS.ArrayBufferView;
  return new Kind(bytes.buffer);
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

/**
 * Objects that are not their properties: promises, weak collections, iterators, streams, a web Response, a class that
 * keeps all it has in private fields. Stored as their properties they would be empty, or junk.
 */
function isHandle(value: object): boolean {
  if (isPlainObject(value)) return false;
  return value instanceof Stream || Symbol.asyncIterator in value || Object.keys(value).length === 0;
}

/** devalue can't read an error that leads back to itself (`error.request.error`): it is cut there. */
function copyError(error: Error, copies: Copies): PortableError {
  const properties: Record<string, unknown> = {};
  const { name, message, stack } = error;
  const copy = new PortableError({ name, message, stack, properties });
  copies.set(error, undefined);
  if ('cause' in error) properties['cause'] = copyOf(error.cause, copies);
  if ('errors' in error) properties['errors'] = copyOf(error.errors, copies);
  copyProperties(error, properties, copies);
  copies.set(error, copy);
  return copy;
}

function copyMap(map: Map<unknown, unknown>, copies: Copies): Map<unknown, unknown> {
  const copy = new Map<unknown, unknown>();
  copies.set(map, copy);
  for (const [name, item] of map) copy.set(copyOf(name, copies), copyOf(item, copies));
  return copy;
}

function copySet(set: Set<unknown>, copies: Copies): Set<unknown> {
  const copy = new Set<unknown>();
  copies.set(set, copy);
  for (const item of set) copy.add(copyOf(item, copies));
  return copy;
}

function copyArray(array: readonly unknown[], copies: Copies): unknown[] {
  if (array.length > MOST_HOLES && array.length > Object.keys(array).length + MOST_HOLES) {
    throw new UnserializableValueError(
      `This value can't be cached: an array in it has a length of ${array.length}, and most of that is empty.`,
    );
  }
  const copy: unknown[] = [];
  // All holes at first, and holes stay holes.
  copy.length = array.length;
  copies.set(array, copy);
  array.forEach((item, index) => {
    copy[index] = copyOf(item, copies);
  });
  return copy;
}

/** As JSON.stringify does, `toJSON` is asked once; it may answer the object itself. */
function copyJsonForm(value: { toJSON: () => unknown }, copies: Copies): unknown {
  const form = value.toJSON();
  if (form === value) return Array.isArray(form) ? copyArray(form, copies) : copyObject(value, copies);
  const copy = copyOf(form, copies);
  copies.set(value, copy);
  return copy;
}

function copyObject(value: object, copies: Copies): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  copies.set(value, copy);
  copyProperties(value, copy, copies);
  return copy;
}

function copyProperties(from: object, to: Record<string, unknown>, copies: Copies): void {
  for (const [name, item] of Object.entries(from)) {
    refuseProto(name);
    if (typeof item !== 'function' && typeof item !== 'symbol') to[name] = copyOf(item, copies);
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
  return typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : typeof value;
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
  // Stops at the first hole, so an array that is nearly all holes takes no time.
  for (let index = 0; index < array.length; index++) if (!(index in array)) return true;
  return false;
}
