import { isDeepStrictEqual } from 'node:util';
import type { CallHandler } from '@nestjs/common';
import { lastValueFrom } from 'rxjs';
import type { Admission } from '../core/loader.js';
import type { CachingPlan } from './handler-plan.js';
import type { HttpExchange, ResponseHead } from './http-exchange.js';
import { whyNotShareable } from './shareable-value.js';
import { isStorableStatus, refusalOf } from './storable-response.js';
import { syncAnswer } from './sync-answer.js';
import { warnOfHandler } from './warn-of-handler.js';

/** Stands for `undefined` where only one caller may have it: the engine shares an `undefined` among all. */
const NOTHING: unique symbol = Symbol('nothing');

/** One run of a handler, and the judgement of what it answered. */
export class HandlerRun {
  private admission: Admission = 'own';
  private isExceptional = false;
  private answer: { readonly value: unknown } | undefined;

  constructor(
    private readonly exchange: HttpExchange,
    private readonly plan: CachingPlan,
    private readonly next: CallHandler,
  ) {}

  /** Runs the handler, and the interceptors inside the cache. Rejects with what they throw. */
  readonly load = async (signal: AbortSignal): Promise<unknown> => {
    const before = this.exchange.responseHead;
    const value: unknown = await lastValueFrom(this.next.handle());
    // Given up by the cache: the request has been answered with an error, and nobody wants this any more.
    if (signal.aborted) return value;
    this.answer = { value };
    this.admission = this.judgeSafely(value, before);
    return value === undefined && this.admission === 'own' ? NOTHING : value;
  };

  /** What becomes of what `load` answered. */
  readonly admit = (): Admission => this.admission;

  /** What the handler answered, before it went through the cache; `undefined` if it has not answered. */
  get ownAnswer(): { readonly value: unknown } | undefined {
    return this.answer;
  }

  /** The handler ran, and its answer can't be shared; the next one to the same request probably neither. */
  get isUnshareable(): boolean {
    return this.answer !== undefined && this.admission === 'own' && !this.isExceptional;
  }

  private judgeSafely(value: unknown, before: ResponseHead): Admission {
    try {
      return this.judge(value, before);
    } catch (error) {
      this.warn('its answer could not be examined', error);
      return 'own';
    }
  }

  private judge(value: unknown, before: ResponseHead): Admission {
    // By the handler, or by something outside that lost patience: a timeout says nothing of the next request.
    if (this.exchange.isSent) return this.passOn();
    if (!isDeepStrictEqual(this.exchange.responseHead, before)) {
      const refusal = refusalOf(this.exchange, this.plan);
      if (refusal?.wanted) return 'own';
      return this.keepBack(refusal?.reason ?? 'the status or the headers it sets would be missing on a hit');
    }
    const unshareable = whyNotShareable(value, this.exchange, this.plan);
    if (unshareable !== undefined) return this.keepBack(unshareable);
    const redirectStatus = this.redirectStatus(value);
    if (redirectStatus !== undefined && !isStorableStatus(redirectStatus)) {
      this.warn(`not stored, since its status is ${redirectStatus}. Only 301 and 308 are redirects for good`);
      return 'share';
    }
    return this.isDeclined(value) ? 'share' : 'store';
  }

  /** As Nest does: what the handler answers may name another status than its `@Redirect`. */
  private redirectStatus(value: unknown): number | undefined {
    if (this.plan.redirectStatus === undefined) return undefined;
    const named = (value as { readonly statusCode?: number } | null | undefined)?.statusCode;
    return named ? named : this.plan.redirectStatus;
  }

  private isDeclined(value: unknown): boolean {
    try {
      const declined: unknown = syncAnswer(this.plan.options.unless?.(value) ?? false, 'unless');
      if (typeof declined === 'boolean') return declined;
      this.warn('not stored, since unless did not answer true or false');
    } catch (error) {
      this.warn('not stored, since unless threw', error);
    }
    return true;
  }

  private passOn(): Admission {
    this.isExceptional = true;
    return 'own';
  }

  private keepBack(reason: string): Admission {
    this.warn(`not cached, since ${reason}`);
    return 'own';
  }

  private warn(message: string, error?: unknown): void {
    warnOfHandler(this.plan.options.place, message, error);
  }
}

/** The value that the client gets, for what the engine fetched. */
export function answerOf(value: unknown): unknown {
  return value === NOTHING ? undefined : value;
}
