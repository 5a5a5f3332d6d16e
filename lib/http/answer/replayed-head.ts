import { isDeepStrictEqual } from 'node:util';
import type { CachingPlan } from '../handlers/handler-plan.js';
import { headerList } from '../header-list.js';
import type { ResponseHead } from '../http-exchange.js';
import type { AnswerHead, HeaderValue } from './http-answer.js';
import { isStorableStatus, unstorable } from './storable-response.js';

/**
 * The headers of a handler that are stored with its answer. All say something about the body, or where it lies; none says
 * anything about the requester or the connection.
 */
const REPLAYED: readonly string[] = [
  'content-type',
  'content-language',
  'content-disposition',
  'link',
  'last-modified',
  'cache-control',
  'expires',
  'location',
  'etag',
];

/** What belongs to one connection, one requester or one moment, or is made anew for every answer. */
const NEVER_REPLAYED: readonly string[] = [
  'age',
  'cache-status',
  'connection',
  'content-encoding',
  'content-length',
  'date',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'authentication-info',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'www-authenticate',
];

/** Whether a header may be stored with an answer. CORS speaks to one origin. @param name in lower case */
export function mayBeReplayed(name: string): boolean {
  return !NEVER_REPLAYED.includes(name) && !name.startsWith('access-control-');
}

/** What a handler said about its response, and what of it would be missing on a hit. */
export interface SaidByHandler {
  readonly head: Pick<AnswerHead, 'status' | 'headers'>;
  /** Why the answer can't be stored; `undefined` if it can. */
  readonly missing: string | undefined;
}

export const NOTHING_SAID: SaidByHandler = { head: { status: undefined, headers: {} }, missing: undefined };

/** The names, in lower case, of the headers that are stored with the answers of a handler. */
export function replayedHeaders(more: readonly string[]): ReadonlySet<string> {
  return new Set([...REPLAYED, ...more]);
}

/** Finds what a handler said by comparing: much else (CORS, the app's own middleware) speaks to each request anew. */
export function saidByHandler(before: ResponseHead, after: ResponseHead, plan: CachingPlan): SaidByHandler {
  const names = Object.keys({ ...before.headers, ...after.headers });
  const changed = names.filter((name) => !isDeepStrictEqual(before.headers[name], after.headers[name]));
  const status = after.status === before.status ? undefined : after.status;
  if (changed.length === 0 && status === undefined) return NOTHING_SAID;
  const headers: Record<string, HeaderValue> = {};
  for (const name of changed) {
    const value = after.headers[name];
    if (name === 'vary' && addsOnlyKnown(before, after, plan)) continue;
    if (value === undefined || !plan.replayed.has(name)) return { ...NOTHING_SAID, missing: wouldMiss(name) };
    headers[name] = value;
  }
  const missing =
    status === undefined || isStorableStatus(status)
      ? undefined
      : `the status it sets is ${unstorable(status)}`;
  return { head: { status, headers }, missing };
}

/** Every answer of the handler names these in its `Vary`. */
function addsOnlyKnown(before: ResponseHead, after: ResponseHead, plan: CachingPlan): boolean {
  const known = new Set([...headerList(before.headers['vary']), ...plan.vary]);
  return headerList(after.headers['vary']).every((name) => known.has(name));
}

function wouldMiss(name: string): string {
  const what = `the header ${name}, which the handler or something inside the cache sets or removes, would be missing on a hit`;
  if (name === 'vary') return `${what}. Name what the answer varies by in the option vary`;
  if (!mayBeReplayed(name)) return what;
  return `${what}. If it belongs to the answer and not to the request, name it: @Cached({ headers: ['${name}'] })`;
}
