import type { MethodCache } from './method-cache.js';

const methods = new WeakMap<object, Map<string, MethodCache>>();

/** Remembers a method under the prototype that declares it: a decorator above may put another function in its place. */
export function addCachedMethod(prototype: object, cached: MethodCache): void {
  const known = methods.get(prototype) ?? new Map<string, MethodCache>();
  methods.set(prototype, known.set(cached.method.name, cached));
}

/** The cached method of that name that an object has or inherits; `undefined` if there is none. */
export function findCachedMethod(object: object, name: string): MethodCache | undefined {
  return cachedMethodsOf(object).find(({ method }) => method.name === name);
}

/** All cached methods that an object has, then those that it inherits. */
export function cachedMethodsOf(object: object): readonly MethodCache[] {
  const prototype: unknown = Object.getPrototypeOf(object);
  const inherited = typeof prototype === 'object' && prototype !== null ? cachedMethodsOf(prototype) : [];
  return [...(methods.get(object)?.values() ?? []), ...inherited];
}
