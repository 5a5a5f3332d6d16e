import 'reflect-metadata';
import type { RequestMethod } from '@nestjs/common';
import { NEST_METADATA } from './nest-metadata.js';

const DEFAULT_REDIRECT_STATUS = 302;

/** The method that a route answers; `undefined` for a method that is no handler of a route. */
export function methodOf(handler: object): RequestMethod | undefined {
  return Reflect.getMetadata(NEST_METADATA.method, handler) as RequestMethod | undefined;
}

/** The names, in lower case, of what `@Header` says of a handler: Nest sets it on every answer, over what was there. */
export function staticHeadersOf(handler: object): ReadonlySet<string> {
  const headers = Reflect.getMetadata(NEST_METADATA.headers, handler) as
    readonly { readonly name: string }[] | undefined;
  return new Set(headers?.map(({ name }) => name.toLowerCase()));
}

/** The status of a `@Redirect`; `undefined` without one. */
export function redirectStatusOf(handler: object): number | undefined {
  const redirect = Reflect.getMetadata(NEST_METADATA.redirect, handler) as
    { readonly statusCode?: number } | undefined;
  return redirect && (redirect.statusCode ?? DEFAULT_REDIRECT_STATUS);
}
