import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';

/** A method of a class that Nest knows. */
export interface KnownMethod {
  readonly type: Type;
  readonly name: string;
  readonly method: object;
}

/** The methods of all controllers of an app, those that they inherit included. */
export function controllerMethods(modules: ModulesContainer): readonly KnownMethod[] {
  return [...controllersOf(modules)].flatMap(knownMethodsOf);
}

/** The classes of all controllers of an app. */
export function controllersOf(modules: ModulesContainer): ReadonlySet<Type> {
  return new Set([...modules.values()].flatMap((module) => classesIn(module.controllers)));
}

/**
 * The classes of all providers of an app that are given as classes, and are not controllers too; guards, pipes and
 * interceptors of single controllers included.
 */
export function providersOf(modules: ModulesContainer): ReadonlySet<Type> {
  const controllers = controllersOf(modules);
  const providers = [...modules.values()].flatMap((module) => [
    ...classesIn(module.providers),
    ...classesIn(module.injectables),
  ]);
  return new Set(providers.filter((type) => !controllers.has(type)));
}

/** Nest keeps no class for a provider that is given as a value, and the factory for one that is made by a factory. */
function classesIn(wrappers: ReadonlyMap<unknown, { readonly metatype: unknown }>): readonly Type[] {
  const metatypes = [...wrappers.values()].map(({ metatype }) => metatype);
  return metatypes.filter((metatype): metatype is Type => typeof metatype === 'function');
}

/** The methods of a class, those that it inherits included, with the class. */
export function knownMethodsOf(type: Type): readonly KnownMethod[] {
  return [...methodsOf(type)].map(([name, method]) => ({ type, name, method }));
}

/** The methods of a class, with those that it inherits and does not override. */
export function methodsOf(type: Type): ReadonlyMap<string, object> {
  const methods = new Map<string, object>();
  const overridden = new Set<string>();
  for (
    let prototype: unknown = type.prototype;
    typeof prototype === 'object' && prototype !== null && prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const value: unknown = descriptor.value;
      if (typeof value === 'function' && name !== 'constructor' && !overridden.has(name))
        methods.set(name, value);
      overridden.add(name);
    }
  }
  return methods;
}
