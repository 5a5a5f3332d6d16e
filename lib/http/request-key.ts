import { VersioningType } from '@nestjs/common';
import { type EntryKey, httpKey } from '../core/entry-key.js';
import type { OwnKey } from './cached-options.js';
import { canonicalJson, isPlainRecord } from './canonical-json.js';
import { digestCredential } from './credential-digest.js';
import type { CachingPlan } from './handler-plan.js';
import type { HttpExchange } from './http-exchange.js';
import type { Identity } from './identity.js';
import { versionHeaderOf } from './key-coverage.js';

/** A header that is a credential and stands in `vary`, but can't stand in a key. */
export class UnkeyableCredential extends Error {}

/**
 * The key of a request: JSON of everything its answer may depend on, so that no two different requests can be made to
 * look the same. The URL as it was sent is no part of it.
 *
 * @param ownKey what the option key says; it replaces the parameters of the path and the query
 * @throws UnkeyableCredential, or TypeError for a part that is not plain JSON; or what a version extractor throws
 */
export function requestKey(
  exchange: HttpExchange,
  plan: CachingPlan,
  identity: Extract<Identity, { known: true }>,
  ownKey: OwnKey | undefined,
): EntryKey {
  const route = [
    plan.method ?? exchange.request.method,
    plan.controller,
    plan.handler,
    // Also beside a `key`: two controllers of the same name may live in different modules.
    exchange.routeTemplate,
  ];
  const parts = {
    ...(ownKey === undefined ? pathAndQuery(exchange, plan) : { key: ownKey }),
    // As in every HTTP cache (RFC 9111, section 2): the tenants of an app may be told apart by nothing else.
    host: exchange.hostname,
    version: versionOf(exchange, plan),
    vary: varyOf(exchange, plan),
    identity: Object.keys(identity.parts).length === 0 ? undefined : identity.parts,
  };
  return httpKey(canonicalJson([...route, parts]));
}

function pathAndQuery(
  { request }: HttpExchange,
  { options }: CachingPlan,
): Readonly<Record<string, unknown>> {
  const query = Object.entries(parsedRecord(request.query));
  const counting =
    options.query === undefined ? query : query.filter(([name]) => options.query?.includes(name));
  return {
    params: Object.fromEntries(Object.entries(parsedRecord(request.params))),
    query: Object.fromEntries(counting),
  };
}

/**
 * What a parser made of the path or the query, all of whose content is in its own properties. Of the instance of a class
 * (`URLSearchParams`) nobody knows where it keeps what it holds: every query would look the same.
 *
 * @throws TypeError for anything but a plain object; some parsers make theirs of an empty prototype of their own
 */
function parsedRecord(record: unknown): Readonly<Record<string, unknown>> {
  if (record === undefined || record === null) return {};
  const prototype: unknown = typeof record === 'object' ? Object.getPrototypeOf(record) : record;
  const isEmptyPrototype =
    typeof prototype === 'object' && prototype !== null && Reflect.ownKeys(prototype).length === 0;
  if (isPlainRecord(isEmptyPrototype ? { ...record } : record))
    return record as Readonly<Record<string, unknown>>;
  throw new TypeError('its query or its parameters are not a plain object');
}

/** The version of the API that the request asks for, where it isn't part of the path. */
function versionOf(exchange: HttpExchange, { versioning }: CachingPlan): unknown {
  if (versioning?.type === VersioningType.CUSTOM) {
    return (versioning.extractor as (request: unknown) => unknown)(exchange.versionedRequest) ?? null;
  }
  const header = versionHeaderOf(versioning);
  // The whole `Accept`, for media type versioning: which of its versions counts is Nest's secret.
  return header === undefined ? undefined : (exchange.header(header) ?? null);
}

function varyOf(exchange: HttpExchange, plan: CachingPlan): Readonly<Record<string, unknown>> | undefined {
  if (plan.vary.length === 0) return undefined;
  return Object.fromEntries(plan.vary.map((name) => [name, varyingValue(name, exchange, plan)]));
}

function varyingValue(name: string, exchange: HttpExchange, { http }: CachingPlan): unknown {
  const value = exchange.header(name);
  if (value === undefined) return null;
  if (!http.credentials.has(name)) return value;
  const digested = exchange.repeatsHeader(name) ? undefined : digestCredential(name, value, http.secret);
  if (digested === undefined) throw new UnkeyableCredential(name);
  return { digest: digested };
}
