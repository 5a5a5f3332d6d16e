import { Inject, Optional } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';

const MODULE_REF: unique symbol = Symbol('cachekit:moduleRef');

/**
 * Has Nest tell the instances of a class which app they belong to. (The app's cache itself would be a dependency that
 * a service of which a cache is made could not have.)
 */
export function injectModuleRef(prototype: object): void {
  if (MODULE_REF in prototype) return;
  Object.defineProperty(prototype, MODULE_REF, {
    configurable: true,
    get: () => undefined,
    // Not a plain property: nobody who prints or compares a service shall find half of Nest in it.
    set(this: object, moduleRef: ModuleRef) {
      Reflect.defineProperty(this, MODULE_REF, { value: moduleRef, configurable: true });
    },
  });
  Inject(ModuleRef)(prototype, MODULE_REF);
  Optional()(prototype, MODULE_REF);
}

/** The app that made an instance; `undefined` for one that was made by hand, without Nest. */
export function moduleRefOf(instance: unknown): ModuleRef | undefined {
  if (typeof instance !== 'object' || instance === null) return undefined;
  return (instance as { readonly [MODULE_REF]?: ModuleRef })[MODULE_REF];
}

/** Whether an instance has decorated methods, and was not made by Nest: they do nothing then. */
export function isMadeByHand(instance: unknown): boolean {
  const isDecorated = typeof instance === 'object' && instance !== null && MODULE_REF in instance;
  return isDecorated && moduleRefOf(instance) === undefined;
}
