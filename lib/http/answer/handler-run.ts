import type { CallHandler } from '@nestjs/common';
import { lastValueFrom, toArray } from 'rxjs';
import { appTextOf } from './app-text.js';
import { etagOf } from './etag.js';
import { type AnswerBody, type HttpAnswer, untouched } from './http-answer.js';
import { NOTHING_SAID, saidByHandler, type SaidByHandler } from './replayed-head.js';
import type { Load } from '../../core/load-timeout.js';
import type { CachingPlan } from '../handlers/handler-plan.js';
import type { HttpExchange, ResponseHead } from '../http-exchange.js';
import { isSameUser, type KnownIdentity } from '../key/identity.js';
import { writersOf } from './response-writers.js';
import { releaseStreams, whyNotAnsweredTwice, whyNotShareable } from './shareable-value.js';
import { isStorableStatus, refusalOf } from './storable-response.js';
import { isDeclined } from '../options/is-declined.js';
import { warnOfHandler } from '../handlers/warn-of-handler.js';

/** What a handler is run for. */
export interface RunRequest {
  readonly exchange: HttpExchange;
  readonly plan: CachingPlan;
  readonly next: CallHandler;
  /** The text that the app makes of an object may be stored in place of the object. */
  readonly sendsText: boolean;
}

/** What a handler's Observable emitted, where that is not one value, and something outside may want them all. */
export class ValueSequence {
  constructor(readonly values: readonly unknown[]) {}
}

/** What decides how a body is written. */
interface Surface {
  readonly status: number;
  readonly contentType: string | undefined;
}

/** The runs of a handler for one request, and the judgement of what it answers. */
export class HandlerRun {
  private answer: { readonly value: unknown } | undefined;
  /** Runs the handler once more, in the background; `undefined` if it may not. */
  readonly refresh: Load<HttpAnswer | undefined> | undefined;

  /**
   * @param identity who stands in the key
   * @param onUnshareable is called when the handler ran and its answer can't be shared; the next one to the same request
   *   probably neither
   */
  constructor(
    private readonly request: RunRequest,
    private readonly identity: KnownIdentity,
    private readonly onUnshareable: () => void,
  ) {
    const { exchange, plan } = request;
    if (plan.fetching.staleWhileRevalidateMs === 0) return;
    // As Nest left it before the handler, and before anything is sent: what the answer of that run will have.
    const surface = surfaceOf(exchange);
    this.refresh = (signal) => this.runAgain(surface, signal);
  }

  /** Runs the handler, and the interceptors inside the cache. Rejects with what they throw. */
  readonly load = async (signal: AbortSignal): Promise<HttpAnswer | undefined> => {
    const { exchange } = this.request;
    const before = exchange.responseHead;
    const writers = writersOf(exchange);
    const value = await answerOf(this.request);
    // Given up by the cache: the request has been answered with an error, and nobody wants this any more.
    if (signal.aborted) return untouched(value);
    this.answer = { value };
    return this.safely(value, () => {
      const after = writersOf(exchange);
      if (writers.every((one, index) => one === after[index])) return this.judgeHead(value, before);
      return this.keepBack(
        value,
        'the handler, or something inside the cache, changes how its response writes a body',
      );
    });
  };

  /** What the handler answered, before it went through the cache; `undefined` if it has not answered. */
  get ownAnswer(): { readonly value: unknown } | undefined {
    return this.answer;
  }

  /** By now the response is another's business, being sent or gone. It is neither read nor written. */
  private async runAgain(surface: Surface, signal: AbortSignal): Promise<HttpAnswer | undefined> {
    const value = await answerOf(this.request);
    if (signal.aborted) return this.release(value);
    const answer = this.safely(value, () => this.judge(value, NOTHING_SAID, surface));
    return answer?.made?.admission === 'own' ? this.release(value) : answer;
  }

  private safely(value: unknown, judge: () => HttpAnswer | undefined): HttpAnswer | undefined {
    try {
      return judge();
    } catch (error) {
      this.warn('its answer could not be examined', error);
      return this.passOn(value);
    }
  }

  private judgeHead(value: unknown, before: ResponseHead): HttpAnswer | undefined {
    const { exchange, plan } = this.request;
    // By the handler, or by something outside that lost patience: a timeout says nothing of the next request.
    if (exchange.isSent) return untouched(value);
    const after = exchange.responseHead;
    const said = saidByHandler(before, after, plan);
    if (said !== NOTHING_SAID) {
      const refusal = refusalOf(after, plan);
      if (refusal?.wanted) return this.passOn(value);
      if (refusal !== undefined) return this.keepBack(value, refusal.reason);
    }
    return this.judge(value, said, surfaceOf(exchange));
  }

  private judge(value: unknown, { head, missing }: SaidByHandler, surface: Surface): HttpAnswer | undefined {
    const unrepeatable = this.whyAnothers() ?? missing ?? whyNotOne(value) ?? whyNotAnsweredTwice(value);
    if (unrepeatable !== undefined) return this.keepBack(value, unrepeatable);
    const body = this.bodyOf(value, surface);
    if (typeof body === 'string') return this.keepBack(value, body);
    const admission = this.isStored(value) ? 'store' : 'share';
    // The engine shares an 'undefined' among all who wait, and stores none.
    if (value === undefined && head.status === undefined && Object.keys(head.headers).length === 0)
      return undefined;
    if (value === undefined) return this.keepBack(value, 'it answers nothing but a status or headers');
    const etag = 'etag' in head.headers || !this.request.sendsText ? undefined : this.etagOf(body);
    return { ...head, etag, body, made: { value, admission } };
  }

  /** Why an answer belongs to somebody else than its key does; `undefined` if it does not. */
  private whyAnothers(): string | undefined {
    const { exchange, plan } = this.request;
    if (isSameUser(exchange, plan, this.identity)) return undefined;
    return (
      'request.user is not what it was when the key was made: the handler, or something inside the cache, sets or ' +
      'changes it. Sign in by a guard or a middleware, which run before the cache'
    );
  }

  /** What is stored of a value, or why nothing is. */
  private bodyOf(value: unknown, surface: Surface): AnswerBody | string {
    const { exchange, plan, sendsText } = this.request;
    // A lone surrogate is not the same after UTF-8.
    if (typeof value === 'string' && value.isWellFormed()) return { kind: 'text', text: value };
    const text = sendsText ? this.jsonOf(value, surface) : undefined;
    if (text !== undefined) return { kind: 'json', content: text };
    return whyNotShareable(value, exchange, plan, surface.status) ?? { kind: 'value', value };
  }

  /** The text that the client will receive for an object; `undefined` where it does not receive JSON of it. */
  private jsonOf(value: unknown, { status, contentType }: Surface): string | undefined {
    if (typeof value !== 'object' || value === null || !isSentAsJson(value, contentType)) return undefined;
    try {
      const text = appTextOf(value, this.request.exchange, status);
      return typeof text === 'string' ? text : undefined;
    } catch {
      // The app shall say so itself.
      return undefined;
    }
  }

  private etagOf(body: AnswerBody): string | undefined {
    if (body.kind === 'value') return undefined;
    return etagOf(Buffer.from(body.kind === 'json' ? body.content : body.text), this.request.exchange);
  }

  private isStored(value: unknown): boolean {
    const redirectStatus = this.redirectStatus(value);
    if (redirectStatus !== undefined && !isStorableStatus(redirectStatus)) {
      this.warn(`not stored, since its status is ${redirectStatus}. Only 301 and 308 are redirects for good`);
      return false;
    }
    return !isDeclined(value, this.request.plan.options);
  }

  /** As Nest does: what the handler answers may name another status than its `@Redirect`. */
  private redirectStatus(value: unknown): number | undefined {
    const { redirectStatus } = this.request.plan;
    if (redirectStatus === undefined) return undefined;
    const named = (value as { readonly statusCode?: number } | null | undefined)?.statusCode;
    return named ? named : redirectStatus;
  }

  private passOn(value: unknown): HttpAnswer {
    this.onUnshareable();
    return untouched(value);
  }

  private keepBack(value: unknown, reason: string): HttpAnswer {
    this.warn(`not cached, since ${reason}`);
    return this.passOn(value);
  }

  /** Nobody will send what a run in the background brought and the cache does not keep. */
  private release(value: unknown): HttpAnswer {
    for (const one of value instanceof ValueSequence ? value.values : [value]) releaseStreams(one);
    return untouched(undefined);
  }

  private warn(message: string, error?: unknown): void {
    warnOfHandler(this.request.plan.options.place, message, error);
  }
}

/** The one value of a handler, or a `ValueSequence`. With nothing outside, it is the last one: Nest sends that. */
async function answerOf({ next, plan }: RunRequest): Promise<unknown> {
  if (plan.outside.length === 0) return lastValueFrom<unknown>(next.handle());
  const values: readonly unknown[] = await lastValueFrom(next.handle().pipe(toArray()));
  return values.length === 1 ? values[0] : new ValueSequence(values);
}

function whyNotOne(value: unknown): string | undefined {
  if (!(value instanceof ValueSequence)) return undefined;
  return `its Observable emits ${value.values.length} values, and the cache holds one`;
}

function surfaceOf(exchange: HttpExchange): Surface {
  const contentType = exchange.responseHeader('content-type');
  return {
    status: exchange.status,
    contentType: contentType === undefined ? undefined : String(contentType),
  };
}

const JSON_TYPE = /^\s*application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i;

/** Fastify sends some objects as they are, and neither platform makes JSON of every object under every content type. */
function isSentAsJson(value: object, contentType: string | undefined): boolean {
  if (contentType !== undefined && !JSON_TYPE.test(contentType)) return false;
  const { buffer, pipe, getReader } = value as {
    readonly [name in 'buffer' | 'pipe' | 'getReader']?: unknown;
  };
  return !(buffer instanceof ArrayBuffer) && typeof pipe !== 'function' && typeof getReader !== 'function';
}
