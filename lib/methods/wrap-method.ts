import type { ModuleRef } from '@nestjs/core';
import type { DecoratedMethod } from '../http/handlers/decorated-method.js';
import { isRoute, standInFor } from '../http/handlers/handler-functions.js';
import { injectModuleRef, moduleRefOf } from './module-ref.js';

/** One call of a method, on an instance that Nest made. */
export interface MethodCall {
  readonly moduleRef: ModuleRef;
  readonly self: object;
  readonly args: readonly unknown[];
  /** Runs the method itself. */
  readonly run: () => unknown;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Puts something around a method. Instances that were not made by Nest have the plain method; so have handlers of HTTP
 * routes, which interceptors serve.
 */
export function wrapMethod(
  { prototype, name, descriptor }: DecoratedMethod,
  around: (call: MethodCall) => unknown,
): void {
  const plain = descriptor.value as Method;
  if (isRoute(plain)) return;
  injectModuleRef(prototype);
  let servedByInterceptors: boolean | undefined;
  const wrapped: Method = function (...args) {
    const moduleRef = moduleRefOf(this);
    if (moduleRef === undefined) return plain.apply(this, args);
    // Asked at the first call: a decorator further up makes it a route, and may put another function in this place.
    servedByInterceptors ??= isRoute((prototype as Record<string, unknown>)[name]);
    if (servedByInterceptors) return plain.apply(this, args);
    return around({ moduleRef, self: this as object, args, run: () => plain.apply(this, args) });
  };
  standInFor(plain, wrapped);
  descriptor.value = wrapped;
  // The compiler does so too, with what the last decorator leaves; who applies a decorator by hand does not.
  const present = Object.getOwnPropertyDescriptor(prototype, name);
  if (present?.value === plain) Object.defineProperty(prototype, name, descriptor);
}
