import 'reflect-metadata';
import type { VersioningOptions } from '@nestjs/common';
import type { CacheScope, ResolvedHttpOptions } from '../options/http-options.js';
import { NEST_METADATA } from '../handlers/nest-metadata.js';

/**
 * Headers that a `Vary` may name although they are not in the key, when it was set before the handler: CORS and
 * compression do so for every answer, and change the answer's headers or its encoding, never its value.
 */
const SET_OUTSIDE = [
  'origin',
  'accept-encoding',
  'access-control-request-method',
  'access-control-request-headers',
];

/** What decides which request headers stand in the key of a handler's answers. */
export interface KeyHeaders {
  readonly vary: readonly string[];
  readonly scope: CacheScope;
  readonly http: ResolvedHttpOptions;
  readonly versioning: VersioningOptions | undefined;
}

/** The request headers that a `Vary` of a handler's answer may name, in lower case. */
export function headersCoveredByKey(
  handler: object,
  { vary, scope, http, versioning }: KeyHeaders,
): Set<string> {
  const covered = new Set(SET_OUTSIDE);
  // What the handler's own @Header('Vary', ...) names, its value depends on.
  for (const name of declaredVary(handler)) covered.delete(name);
  for (const name of vary) covered.add(name);
  // Outside 'public', a request with a credential has the key of its sender, or no key at all.
  if (scope !== 'public') for (const name of http.credentials) covered.add(name);
  const versionHeader = versionHeaderOf(versioning);
  if (versionHeader !== undefined) covered.add(versionHeader);
  return covered;
}

/** The request header that says which version of the API is asked for; `undefined` if no header does. */
export function versionHeaderOf(versioning: VersioningOptions | undefined): string | undefined {
  if (versioning === undefined) return undefined;
  if ('header' in versioning) return versioning.header.toLowerCase();
  return 'key' in versioning ? 'accept' : undefined;
}

function declaredVary(handler: object): readonly string[] {
  const headers = Reflect.getMetadata(NEST_METADATA.headers, handler) as
    readonly { readonly name: string; readonly value: unknown }[] | undefined;
  return (headers ?? [])
    .filter(({ name }) => name.toLowerCase() === 'vary')
    .flatMap(({ value }) => String(value).split(','))
    .map((name) => name.trim().toLowerCase());
}
