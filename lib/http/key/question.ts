import { types } from 'node:util';
import type { Awaitable } from '../../backends/cache-backend.js';
import type { EntryKey } from '../../core/entry-key.js';
import { markersOf } from '../../core/tag-markers.js';
import { bypassStatus, METHOD_STATUS } from '../cache-status.js';
import { type Call, callOf } from '../options/call.js';
import { keyOf, type OwnKey, tagsOf } from '../options/cached-options.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange, ResponseHead } from '../http-exchange.js';
import { type Identity, identityOf, type KnownIdentity } from './identity.js';
import { requestKey, UnkeyableCredential } from './request-key.js';
import { refusalOf } from '../answer/storable-response.js';
import { syncAnswer } from '../options/sync-answer.js';
import { warnOfHandler } from '../handlers/warn-of-handler.js';

/** What a request asks of the cache; or, in the words of `Cache-Status`, why it goes past. */
export type Question =
  | {
      readonly asks: true;
      readonly key: EntryKey;
      readonly markers: readonly EntryKey[];
      /** Who stands in the key. */
      readonly identity: KnownIdentity;
    }
  | { readonly asks: false; readonly status: string };

/** One request, while it is decided about. */
class Examined {
  /** What was said of the answer before the handler ran. */
  readonly before: ResponseHead;
  private made: Call | undefined;

  constructor(
    readonly exchange: HttpExchange,
    readonly plan: CachingPlan,
    readonly sendsText: boolean,
  ) {
    this.before = exchange.responseHead;
  }

  /** What callbacks are told; made when the first one asks. */
  readonly call = (): Call => (this.made ??= callOf(this.exchange.request));

  warn(message: string, error?: unknown): void {
    warnOfHandler(this.plan.options.place, message, error);
  }
}

/**
 * Decides about one request. Never rejects: whatever goes wrong here only keeps the request away from the cache.
 *
 * @param sendsText whether the answer may be a text that was made of the handler's object
 */
export function questionOf(
  exchange: HttpExchange,
  plan: CachingPlan,
  sendsText: boolean,
): Awaitable<Question> {
  const unexamined = (error: unknown): Question => {
    warnOfHandler(plan.options.place, 'a request was not cached, since it could not be examined', error);
    return past('key');
  };
  try {
    const question = examine(new Examined(exchange, plan, sendsText));
    return types.isPromise(question) ? question.catch(unexamined) : question;
  } catch (error) {
    return unexamined(error);
  }
}

/** Asks everything that may keep a request away. Waits for nothing but the app's `identify`. */
function examine(request: Examined): Awaitable<Question> {
  const { exchange, plan } = request;
  const { method } = exchange.request;
  if (method !== 'GET' && method !== 'HEAD') return { asks: false, status: METHOD_STATUS };
  if (exchange.hasBody) return past('body');
  const refusal = refusalOf(request.before, plan);
  if (refusal !== undefined) {
    if (!refusal.wanted) request.warn(`not cached, since before the handler answers ${refusal.reason}`);
    return past('response');
  }
  const wanted = isWanted(request);
  if (wanted !== true) return wanted;
  const identity = identityOf(exchange, plan);
  // By hand, not by `andThen`: this is on the way of every hit.
  return types.isPromise(identity)
    ? identity.then((found) => keyed(request, found))
    : keyed(request, identity);
}

function keyed(request: Examined, identity: Identity): Question {
  if (!identity.known) {
    warnOfIdentity(request, identity);
    return past(identity.detail);
  }
  const chosen = chosenByCallbacks(request);
  if (chosen === undefined) return past('callback');
  const { exchange, plan, sendsText, before } = request;
  try {
    const key = requestKey(exchange, plan, identity, { ownKey: chosen.key, sendsText, before });
    return { asks: true, key, markers: chosen.markers, identity };
  } catch (error) {
    if (error instanceof UnkeyableCredential) {
      request.warn(
        `requests with the credential ${error.message} are not cached, since its digest needs the option secret`,
      );
      return past('credentials');
    }
    request.warn('a request was not cached, since something in it can not stand in a key', error);
    return past('key');
  }
}

/** What the options key and tags say of this call; `undefined`, with a warning, if one of them fails. */
function chosenByCallbacks(
  request: Examined,
): { key: OwnKey | undefined; markers: readonly EntryKey[] } | undefined {
  const { key, tags, place } = request.plan.options;
  try {
    const ownKey = key === undefined ? undefined : keyOf(key, request.call);
    return { key: ownKey, markers: markersOf(tagsOf(tags, request.call), place) };
  } catch (error) {
    request.warn('a request was not cached, since its key or its tags could not be made', error);
    return undefined;
  }
}

/** Whether `when` lets the call through; else the way past. */
function isWanted(request: Examined): true | Question {
  const { when } = request.plan.options;
  if (when === undefined) return true;
  try {
    const wanted: unknown = syncAnswer(when(request.call()), 'when');
    if (wanted === true) return true;
    if (wanted === false) return past('condition');
    request.warn('a request was not cached, since when did not answer true or false');
  } catch (error) {
    request.warn('a request was not cached, since when threw', error);
  }
  return past('callback');
}

function warnOfIdentity(
  request: Examined,
  { detail, reason, error }: Extract<Identity, { known: false }>,
): void {
  if (reason === undefined) return;
  const remedy =
    detail === 'identity'
      ? ''
      : ". If everybody may share this handler's answers, say scope: 'public'; if not, give forRoot the option " +
        'identify, which says who makes a request';
  request.warn(`a request was not cached, since ${reason}${remedy}`, error);
}

function past(detail: Parameters<typeof bypassStatus>[0]): Question {
  return { asks: false, status: bypassStatus(detail) };
}
