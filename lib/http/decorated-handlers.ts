import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { methodsOf } from './handler-inputs.js';

/** A method of a class that Nest knows. */
export interface KnownMethod {
  readonly type: Type;
  readonly method: object;
}

/** The methods of all controllers of an app, those that they inherit included. */
export function controllerMethods(modules: ModulesContainer): readonly KnownMethod[] {
  return methodsOfAll(controllersOf(modules));
}

/** The methods of all providers of an app that are given as classes, and are not controllers too. */
export function providerMethods(modules: ModulesContainer): readonly KnownMethod[] {
  const controllers = controllersOf(modules);
  const providers = [...modules.values()].flatMap((module) => classesIn(module.providers));
  return methodsOfAll(new Set(providers.filter((type) => !controllers.has(type))));
}

function controllersOf(modules: ModulesContainer): ReadonlySet<Type> {
  return new Set([...modules.values()].flatMap((module) => classesIn(module.controllers)));
}

/** Nest keeps no class for a provider that is given as a value, and the factory for one that is made by a factory. */
function classesIn(wrappers: ReadonlyMap<unknown, { readonly metatype: unknown }>): readonly Type[] {
  const metatypes = [...wrappers.values()].map(({ metatype }) => metatype);
  return metatypes.filter((metatype): metatype is Type => typeof metatype === 'function');
}

function methodsOfAll(types: ReadonlySet<Type>): readonly KnownMethod[] {
  return [...types].flatMap((type) => [...methodsOf(type).values()].map((method) => ({ type, method })));
}
