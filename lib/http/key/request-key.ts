import { createHash } from 'node:crypto';
import { VersioningType } from '@nestjs/common';
import { type EntryKey, httpKey } from '../../core/entry-key.js';
import type { OwnKey } from '../options/cached-options.js';
import { canonicalJson, isPlainRecord } from './canonical-json.js';
import { digestCredential } from './credential-digest.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange } from '../http-exchange.js';
import type { Identity } from './identity.js';
import { versionHeaderOf } from './key-coverage.js';

/** A header that is a credential and stands in `vary`, but can't stand in a key. */
export class UnkeyableCredential extends Error {}

/** What of a key is neither in the request nor known before it. */
export interface KeyChoice {
  /** What the option key says; it replaces the parameters of the path and the query. */
  readonly ownKey: OwnKey | undefined;
  /** A text that was made of an object is no use to those who need the object. */
  readonly sendsText: boolean;
}

/**
 * The key of a request: JSON of everything its answer may depend on, so that no two different requests can be made to
 * look the same. The URL as it was sent is no part of it.
 *
 * @throws UnkeyableCredential, or TypeError for a part that is not plain JSON; or what a version extractor throws
 */
export function requestKey(
  exchange: HttpExchange,
  plan: CachingPlan,
  identity: Extract<Identity, { known: true }>,
  { ownKey, sendsText }: KeyChoice,
): EntryKey {
  const { params, query } = ownKey === undefined ? pathAndQuery(exchange, plan) : NEITHER;
  const parts = [
    member('body', sendsText ? undefined : 'value'),
    // As in every HTTP cache (RFC 9111, section 2): the tenants of an app may be told apart by nothing else.
    member('host', exchange.hostname),
    member('identity', isEmpty(identity.parts) ? undefined : identity.parts),
    member('key', ownKey),
    member('params', params),
    member('query', query),
    member('response', surroundingHeaders(exchange, plan)),
    member('vary', varyOf(exchange, plan)),
    member('version', versionOf(exchange, plan)),
  ];
  return httpKey(`[${routeOf(exchange, plan)},{${parts.filter((part) => part !== '').join(',')}}]`);
}

const NEITHER = { params: undefined, query: undefined };

const routes = new WeakMap<CachingPlan, Map<string, string>>();

/** The part of a key that is the same for all requests to a route. A handler may have several. */
function routeOf(exchange: HttpExchange, plan: CachingPlan): string {
  const method = plan.method ?? exchange.request.method;
  const template = exchange.routeTemplate;
  const known = routes.get(plan) ?? new Map<string, string>();
  const name = `${method} ${template}`;
  const text =
    known.get(name) ??
    // The template also beside a `key`: two controllers of the same name may live in different modules.
    [method, plan.controller, plan.handler, template].map((part) => JSON.stringify(part)).join(',');
  routes.set(plan, known.set(name, text));
  return text;
}

function member(name: string, value: unknown): string {
  return value === undefined ? '' : `"${name}":${canonicalJson(value)}`;
}

function pathAndQuery(
  { request: { params }, query }: HttpExchange,
  { options }: CachingPlan,
): { readonly params: ParsedRecord; readonly query: ParsedRecord } {
  const asked = parsedRecord(query);
  const names = options.query;
  const counting =
    names === undefined
      ? asked
      : Object.fromEntries(Object.entries(asked).filter(([name]) => names.includes(name)));
  return { params: parsedRecord(params), query: counting };
}

type ParsedRecord = Readonly<Record<string, unknown>>;

/**
 * What a parser made of the path or the query, all of whose content is in its own properties. Of the instance of a class
 * (`URLSearchParams`) nobody knows where it keeps what it holds: every query would look the same.
 *
 * @throws TypeError for anything but a plain object; some parsers make theirs of an empty prototype of their own
 */
function parsedRecord(record: unknown): ParsedRecord {
  if (record === undefined || record === null) return {};
  if (isPlainRecord(record)) return record;
  const prototype: unknown = typeof record === 'object' ? Object.getPrototypeOf(record) : record;
  const isEmptyPrototype =
    typeof prototype === 'object' && prototype !== null && Reflect.ownKeys(prototype).length === 0;
  const copy: unknown = isEmptyPrototype ? { ...(record as ParsedRecord) } : record;
  if (isPlainRecord(copy)) return copy;
  throw new TypeError('its query or its parameters are not a plain object');
}

function isEmpty(record: object): boolean {
  for (const name in record) if (Object.hasOwn(record, name)) return false;
  return true;
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

/**
 * A digest of the headers that the response already has and that are stored with an answer. A handler may add to what
 * middleware said to one requester, or say the same once more, which no comparison tells.
 */
function surroundingHeaders(exchange: HttpExchange, { setOutside }: CachingPlan): string | undefined {
  const headers: [name: string, values: string | string[]][] = [];
  for (const name of setOutside) {
    const value = exchange.responseHeader(name);
    if (value !== undefined) headers.push([name, Array.isArray(value) ? value.map(String) : String(value)]);
  }
  if (headers.length === 0) return undefined;
  return createHash('sha256').update(JSON.stringify(headers)).digest('base64url');
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
