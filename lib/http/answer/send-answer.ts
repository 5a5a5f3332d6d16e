import { asBuffer } from '../../core/as-buffer.js';
import type { Fetched } from '../../core/fetcher.js';
import { fetchedStatus, setCacheStatus } from '../cache-status.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange } from '../http-exchange.js';
import { isNotModified } from './conditional-request.js';
import type { AnswerBody, HttpAnswer } from './http-answer.js';
import { takesBytes } from './response-writers.js';

const JSON_TYPE = 'application/json; charset=utf-8';
const NOT_MODIFIED = 304;

/** One answer of the cache, on its way to a client. */
export interface Sending {
  readonly exchange: HttpExchange;
  readonly plan: CachingPlan;
  /** The body is sent as it is: nothing outside of the cache changes it. */
  readonly sendsText: boolean;
}

/** Says about the response what belongs to an answer, and gives back what Nest shall send. */
export function sendAnswer(
  fetched: Fetched<HttpAnswer | undefined>,
  { exchange, plan, sendsText }: Sending,
): unknown {
  const { value: answer } = fetched;
  // Something outside lost patience, or the handler sent its answer by itself.
  if (exchange.isSent) return bodyOf(answer?.body, exchange);
  setCacheStatus(exchange, fetchedStatus(fetched));
  if (fetched.hit) setAge(exchange, fetched);
  if (answer === undefined) return undefined;
  if (answer.status !== undefined) exchange.setStatus(answer.status);
  for (const [name, value] of Object.entries(answer.headers)) {
    // Whatever lies in the store, or was written by another version of the app.
    if (plan.replayed.has(name)) exchange.setResponseHeader(name, value);
  }
  setCacheControl(exchange, plan, fetched);
  if (!sendsText || answer.body.kind === 'value') return bodyOf(answer.body, exchange);
  return sendText(answer, exchange);
}

function sendText({ etag, body }: HttpAnswer, exchange: HttpExchange): unknown {
  if (etag !== undefined && exchange.responseHeader('etag') === undefined)
    exchange.setResponseHeader('etag', etag);
  // Express compares by itself, and has the app's settings for that.
  if (exchange.platform === 'fastify' && isKnownToClient(exchange)) {
    exchange.setStatus(NOT_MODIFIED);
    // Fastify counts the length of a body that it is given for HEAD, and sends none.
    if (exchange.request.method === 'HEAD') return bodyWithType(body, exchange);
    exchange.removeResponseHeader('content-type');
    return undefined;
  }
  return bodyWithType(body, exchange);
}

/** The platforms would take the JSON for plain text. */
function bodyWithType(body: AnswerBody, exchange: HttpExchange): unknown {
  if (body.kind !== 'json') return bodyOf(body, exchange);
  if (exchange.responseHeader('content-type') !== undefined) return textOf(body.content);
  exchange.setResponseHeader('content-type', JSON_TYPE);
  return bodyOf(body, exchange);
}

const CONDITIONS = ['if-none-match', 'if-modified-since'] as const;

/** Conditions count where the answer would be 200 without them (RFC 9110, section 13.2.1). */
function isKnownToClient(exchange: HttpExchange): boolean {
  if (!CONDITIONS.some((name) => exchange.header(name) !== undefined)) return false;
  if (exchange.status < 200 || exchange.status > 299) return false;
  return isNotModified(exchange.request.headers, {
    etag: exchange.responseHeader('etag'),
    lastModified: exchange.responseHeader('last-modified'),
  });
}

function bodyOf(body: AnswerBody | undefined, exchange: HttpExchange): unknown {
  if (body === undefined) return undefined;
  if (body.kind === 'value') return body.value;
  if (body.kind === 'text') return body.text;
  const { content } = body;
  if (typeof content === 'string') return content;
  return takesBytes(exchange) ? asBuffer(content) : textOf(content);
}

function setAge(exchange: HttpExchange, { ageMs }: Fetched<unknown>): void {
  exchange.setResponseHeader('age', String(Math.floor(ageMs / 1_000)));
}

/** What the handler says by itself stays. An answer that is not in the store promises nothing. */
function setCacheControl(exchange: HttpExchange, plan: CachingPlan, fetched: Fetched<unknown>): void {
  const { cacheControl } = plan.options;
  if (cacheControl === false || !(fetched.hit || fetched.stored || fetched.collapsed)) return;
  if (fetched.ttlMs === 0 || exchange.responseHeader('cache-control') !== undefined) return;
  const said = cacheControl === true ? lifetimeOf(fetched, plan) : cacheControl;
  exchange.setResponseHeader('cache-control', said);
}

/** A year, which is for ever in HTTP. */
const LONGEST_S = 31_536_000;

/** The whole lifetime: clients subtract `Age` from it. */
function lifetimeOf({ ttlMs, ageMs }: Fetched<unknown>, { scope }: CachingPlan): string {
  const seconds = Math.min(LONGEST_S, Math.max(0, Math.floor((ttlMs + ageMs) / 1_000)));
  return `${scope === 'public' ? 'public' : 'private'}, max-age=${seconds}`;
}

function textOf(content: string | Uint8Array): string {
  return typeof content === 'string' ? content : asBuffer(content).toString();
}
