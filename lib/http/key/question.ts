import type { EntryKey } from '../../core/entry-key.js';
import { markersOf } from '../../core/tag-markers.js';
import { bypassStatus, METHOD_STATUS } from '../cache-status.js';
import { type Call, callOf } from '../options/call.js';
import { keyOf, type OwnKey, tagsOf } from '../options/cached-options.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange } from '../http-exchange.js';
import { type Identity, identityOf } from './identity.js';
import { requestKey, UnkeyableCredential } from './request-key.js';
import { refusalOf } from '../answer/storable-response.js';
import { syncAnswer } from '../options/sync-answer.js';
import { warnOfHandler } from '../handlers/warn-of-handler.js';

/** What a request asks of the cache; or, in the words of `Cache-Status`, why it goes past. */
export type Question =
  | { readonly asks: true; readonly key: EntryKey; readonly markers: readonly EntryKey[] }
  | { readonly asks: false; readonly status: string };

/**
 * Decides about one request. Never rejects: whatever goes wrong here only keeps the request away from the cache.
 *
 * @param sendsText whether the answer may be a text that was made of the handler's object
 */
export async function questionOf(
  exchange: HttpExchange,
  plan: CachingPlan,
  sendsText: boolean,
): Promise<Question> {
  const warn: Warn = (message, error) => warnOfHandler(plan.options.place, message, error);
  try {
    const { method } = exchange.request;
    if (method !== 'GET' && method !== 'HEAD') return { asks: false, status: METHOD_STATUS };
    if (exchange.hasBody) return past('body');
    const refusal = refusalOf(exchange, plan);
    if (refusal !== undefined) {
      if (!refusal.wanted) warn(`not cached, since before the handler answers ${refusal.reason}`);
      return past('response');
    }
    return await keyed(exchange, plan, sendsText, warn);
  } catch (error) {
    warn('a request was not cached, since it could not be examined', error);
    return past('key');
  }
}

type Warn = (message: string, error?: unknown) => void;

async function keyed(
  exchange: HttpExchange,
  plan: CachingPlan,
  sendsText: boolean,
  warn: Warn,
): Promise<Question> {
  let made: Call | undefined;
  const call = (): Call => (made ??= callOf(exchange.request));
  const wanted = isWanted(plan, call, warn);
  if (wanted !== true) return wanted;
  const identity = await identityOf(exchange, plan);
  if (!identity.known) {
    warnOfIdentity(identity, warn);
    return past(identity.detail);
  }
  const chosen = chosenByCallbacks(plan, call, warn);
  if (chosen === undefined) return past('callback');
  try {
    const key = requestKey(exchange, plan, identity, { ownKey: chosen.key, sendsText });
    return { asks: true, key, markers: chosen.markers };
  } catch (error) {
    if (error instanceof UnkeyableCredential) {
      warn(
        `requests with the credential ${error.message} are not cached, since its digest needs the option secret`,
      );
      return past('credentials');
    }
    warn('a request was not cached, since something in it can not stand in a key', error);
    return past('key');
  }
}

/** What the options key and tags say of this call; `undefined`, with a warning, if one of them fails. */
function chosenByCallbacks(
  { options: { key, tags, place } }: CachingPlan,
  call: () => Call,
  warn: Warn,
): { key: OwnKey | undefined; markers: readonly EntryKey[] } | undefined {
  try {
    const ownKey = key === undefined ? undefined : keyOf(key, call);
    return { key: ownKey, markers: markersOf(tagsOf(tags, call), place) };
  } catch (error) {
    warn('a request was not cached, since its key or its tags could not be made', error);
    return undefined;
  }
}

/** Whether `when` lets the call through; else the way past. */
function isWanted({ options }: CachingPlan, call: () => Call, warn: Warn): true | Question {
  if (options.when === undefined) return true;
  try {
    const wanted: unknown = syncAnswer(options.when(call()), 'when');
    if (wanted === true) return true;
    if (wanted === false) return past('condition');
    warn('a request was not cached, since when did not answer true or false');
  } catch (error) {
    warn('a request was not cached, since when threw', error);
  }
  return past('callback');
}

function warnOfIdentity({ detail, reason, error }: Extract<Identity, { known: false }>, warn: Warn): void {
  if (reason === undefined) return;
  const remedy =
    detail === 'identity'
      ? ''
      : ". If everybody may share this handler's answers, say scope: 'public'; if not, give forRoot the option " +
        'identify, which says who makes a request';
  warn(`a request was not cached, since ${reason}${remedy}`, error);
}

function past(detail: Parameters<typeof bypassStatus>[0]): Question {
  return { asks: false, status: bypassStatus(detail) };
}
