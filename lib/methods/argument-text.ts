import { types } from 'node:util';
import { isPlainRecord } from '../http/key/canonical-json.js';

/** Deeper data is a cycle, or nothing that a key should be made of. */
const DEEPEST = 100;
/** So is larger data: a graph of shared references that is small in memory may be endless as text. */
const MOST_PARTS = 100_000;

/**
 * The arguments of a call as text, in which equal arguments have equal text, and different ones different text: 1 and
 * '1', 0 and -0, a Date and its text. The names in an object are sorted; arrays, Maps and Sets keep their order. An
 * argument that is missing at the end is `undefined`, as it is for the method.
 *
 * @throws TypeError for what may hold more than can be seen: instances of classes, functions, symbols, proxies, objects
 *   with hidden properties; and for cycles. The message holds nothing of the values
 */
export function argumentText(args: readonly unknown[]): string {
  const last = args.findLastIndex((argument) => argument !== undefined);
  let parts = 0;
  const write = (value: unknown, depth: number): string => {
    if (depth > DEEPEST || ++parts > MOST_PARTS) throw new TypeError('it is nested too deeply, or too large');
    const writeAll = (items: Iterable<unknown>): string =>
      Array.from(items, (item) => write(item, depth + 1)).join(',');
    if (typeof value !== 'object' || value === null) return primitiveText(value);
    if (isPlainArray(value)) return `[${writeAll(value)}]`;
    if (isPlainRecord(value)) {
      const members = Object.keys(value).toSorted();
      return `{${members.map((name) => `${JSON.stringify(name)}:${write(value[name], depth + 1)}`).join(',')}}`;
    }
    // Only strings have quotes, so no string looks like one of these.
    if (isExactly(value, types.isDate)) return `Date(${value.getTime()})`;
    if (isExactly(value, types.isMap)) return `Map[${writeAll([...value].flat(1))}]`;
    if (isExactly(value, types.isSet)) return `Set[${writeAll(value)}]`;
    throw new TypeError(`it holds ${describe(value)}`);
  };
  return `[${Array.from(args.slice(0, last + 1), (argument) => write(argument, 0)).join(',')}]`;
}

function primitiveText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError(`it holds a ${typeof value}`);
  return String(value);
}

/** Whether it is of a built-in kind, of no class that extends it, and without properties of its own. Of any realm. */
function isExactly<T extends object>(value: object, isKind: (value: unknown) => value is T): value is T {
  if (types.isProxy(value) || !isKind(value) || Reflect.ownKeys(value).length > 0) return false;
  return isDirectlyBelowObject(Object.getPrototypeOf(value));
}

/** An array that holds its items and nothing else, without holes. */
function isPlainArray(value: object): value is readonly unknown[] {
  if (types.isProxy(value) || !Array.isArray(value)) return false;
  return (
    isDirectlyBelowObject(Object.getPrototypeOf(value)) && Reflect.ownKeys(value).length === value.length + 1
  );
}

function isDirectlyBelowObject(prototype: unknown): boolean {
  if (typeof prototype !== 'object' || prototype === null) return false;
  const root: unknown = Object.getPrototypeOf(prototype);
  return typeof root === 'object' && root !== null && Object.getPrototypeOf(root) === null;
}

function describe(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  if (typeof constructor !== 'function' || constructor.name === '') return 'an instance of an unknown class';
  if (['Object', 'Array'].includes(constructor.name)) return 'an object that is more than its own properties';
  return `an instance of ${constructor.name}`;
}
