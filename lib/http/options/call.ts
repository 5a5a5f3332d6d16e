import type { IncomingHttpHeaders } from 'node:http';
import type { HttpRequest } from '../http-exchange.js';

/** What a query string holds: text, or what the platform's parser made of repeated and nested names. */
export type QueryValue = string | readonly QueryValue[] | { readonly [name: string]: QueryValue | undefined };

/** What the callbacks of the decorators are told of the call they decide about. Copies: changing them has no effect. */
export interface Call {
  /** The arguments of the method. Empty over HTTP: pipes have not run yet. */
  readonly args: readonly unknown[];
  /** The parameters in the path, decoded. The segments of a wildcard are joined by slashes. */
  readonly params: Readonly<Record<string, string>>;
  /** The query as the platform parsed it. */
  readonly query: Readonly<Record<string, QueryValue | undefined>>;
  /** The headers of the request, with names in lower case. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** The request itself, of Express or Fastify; absent where there is none. */
  readonly request?: HttpRequest;
}

/** A callback that may narrow its parameter to the type that it knows to get. */
export type Callback<Argument, Result> = { call(argument: Argument): Result }['call'];

/** What a callback is told of a request. */
export function callOf(request: HttpRequest): Call {
  return Object.freeze({
    args: Object.freeze([]),
    params: copyParams(request.params),
    query: copy(request.query ?? {}) as Call['query'],
    headers: copy(request.headers) as Call['headers'],
    request,
  });
}

function copyParams(params: unknown): Call['params'] {
  const entries = Object.entries(params ?? {})
    .filter(([, value]: [string, unknown]) => value !== undefined)
    .map(([name, value]: [string, unknown]) => [
      name,
      Array.isArray(value) ? value.join('/') : String(value),
    ]);
  return Object.freeze(Object.fromEntries(entries) as Record<string, string>);
}

/** `fromEntries` defines properties, so that one named `__proto__` stays a property. */
function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(copy));
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copy(item)])));
}
