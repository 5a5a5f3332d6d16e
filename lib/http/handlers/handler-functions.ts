import 'reflect-metadata';
import { NEST_METADATA } from './nest-metadata.js';

/** Whether a method is the handler of an HTTP route. */
export function isRoute(method: unknown): boolean {
  return typeof method === 'function' && Reflect.hasMetadata(NEST_METADATA.method, method);
}

/** Gives a function what is known of another one: what decorators said of it, and its name. */
export function standInFor(original: object, standIn: object): void {
  for (const property of ['name', 'length']) {
    const descriptor = Object.getOwnPropertyDescriptor(original, property);
    if (descriptor !== undefined) Object.defineProperty(standIn, property, descriptor);
  }
  for (const key of Reflect.getOwnMetadataKeys(original)) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, original), standIn);
  }
}
