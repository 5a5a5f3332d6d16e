import 'reflect-metadata';
import type { ResolvedPut } from './cache-put-options.js';

const PUT = 'cachekit:put';

/** What the `@CachePut` on a method says; `undefined` without one. */
export function putOf(method: object): ResolvedPut | undefined {
  return Reflect.getMetadata(PUT, method) as ResolvedPut | undefined;
}

/** Keeps what the `@CachePut` on a method says. */
export function setPut(method: object, put: ResolvedPut): void {
  Reflect.defineMetadata(PUT, put, method);
}
