import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { VersioningType } from '@nestjs/common';
import { type EntryKey, httpKey } from '../../core/entry-key.js';
import type { OwnKey } from '../options/cached-options.js';
import { canonicalJson, canonicalRecord, isPlainRecord, showsAll } from './canonical-json.js';
import { digestCredential } from './credential-digest.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange, ResponseHead } from '../http-exchange.js';
import type { KnownIdentity } from './identity.js';
import { versionHeaderOf } from './key-coverage.js';

/** A header that is a credential and stands in `vary`, but can't stand in a key. */
export class UnkeyableCredential extends Error {}

/** What of a key is neither in the request nor known before it. */
export interface KeyChoice {
  /** What the option key says; it replaces the parameters of the path and the query. */
  readonly ownKey: OwnKey | undefined;
  /** A text that was made of an object is no use to those who need the object. */
  readonly sendsText: boolean;
  /** What was said of the answer before its handler. */
  readonly before: ResponseHead;
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
  identity: KnownIdentity,
  { ownKey, sendsText, before }: KeyChoice,
): EntryKey {
  return httpKey(
    `[${routeOf(exchange, plan)},{${sendsText ? '' : '"body":"value",'}` +
      // As in every HTTP cache (RFC 9111, section 2): the tenants of an app may be told apart by nothing else.
      `"host":${JSON.stringify(exchange.hostname)}` +
      member('identity', isEmpty(identity.parts) ? undefined : identity.parts) +
      member('key', ownKey) +
      (ownKey === undefined ? pathAndQuery(exchange, plan) : '') +
      // Beside a `key` too: it replaces the parameters of this app, not those of the one around it.
      member('mount', exchange.mountPath) +
      member('response', surroundingHeaders(before, plan)) +
      member('vary', varyOf(exchange, plan)) +
      `${member('version', versionOf(exchange, plan))}}]`,
  );
}

const routes = new WeakMap<CachingPlan, Map<string, string>>();

/** The part of a key that is the same for all requests to a route. A handler may have several. */
function routeOf(exchange: HttpExchange, plan: CachingPlan): string {
  const method = plan.method ?? exchange.request.method;
  const template = exchange.routeTemplate;
  const known = routes.get(plan);
  const name = `${method} ${template}`;
  const text = known?.get(name);
  if (text !== undefined) return text;
  // The template also beside a `key`: two controllers of the same name may live in different modules.
  const parts = [method, plan.controller, plan.handler, template];
  const made = parts.map((part) => JSON.stringify(part)).join(',');
  routes.set(plan, (known ?? new Map<string, string>()).set(name, made));
  return made;
}

function member(name: string, value: unknown): string {
  return value === undefined ? '' : `,"${name}":${canonicalJson(value)}`;
}

/** The members of a key for the parameters of the path and for the query. */
function pathAndQuery({ request: { params }, query }: HttpExchange, { options }: CachingPlan): string {
  const asked = parsedRecord(query);
  const names = options.query;
  const counting =
    names === undefined
      ? asked
      : Object.fromEntries(Object.entries(asked).filter(([name]) => names.includes(name)));
  return `,"params":${canonicalRecord(parsedRecord(params))},"query":${canonicalRecord(counting)}`;
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
  if (isPlainRecord(record) || isOfEmptyPrototype(record)) return record;
  throw new TypeError('its query or its parameters are not a plain object');
}

function isOfEmptyPrototype(record: unknown): record is ParsedRecord {
  if (typeof record !== 'object' || record === null || types.isProxy(record)) return false;
  const prototype: unknown = Object.getPrototypeOf(record);
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Reflect.ownKeys(prototype).length === 0 &&
    showsAll(record)
  );
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
function surroundingHeaders(before: ResponseHead, { setOutside }: CachingPlan): string | undefined {
  let headers: [name: string, values: string | string[]][] | undefined;
  for (const name of setOutside) {
    const value = before.headers[name];
    if (value === undefined) continue;
    (headers ??= []).push([name, Array.isArray(value) ? value.map(String) : String(value)]);
  }
  if (headers === undefined) return undefined;
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
