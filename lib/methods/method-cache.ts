import type { ModuleRef } from '@nestjs/core';
import { callKey, type EntryKey } from '../core/entry-key.js';
import type { Admission } from '../core/loader.js';
import { markersOf } from '../core/tag-markers.js';
import type { Call } from '../http/options/call.js';
import { keyOf, tagsOf } from '../http/options/cached-options.js';
import { isPlainAnswer } from '../http/answer/plain-answer.js';
import { isServerFault } from '../http/handlers/server-fault.js';
import { UnshareableKeys } from '../http/handlers/unshareable-keys.js';
import { isDeclined } from '../http/options/is-declined.js';
import { syncAnswer } from '../http/options/sync-answer.js';
import { warnOfHandler } from '../http/handlers/warn-of-handler.js';
import { argumentText } from './argument-text.js';
import { type CachedMethod, makeMethodPlan, type MethodPlan } from './method-plan.js';
import { holdContext } from './context-like.js';
import { areOfSomebody } from './request-credentials.js';
import type { MethodCall } from './wrap-method.js';

/** Where the answer to a call lies. */
export interface CallEntry {
  readonly key: EntryKey;
  readonly markers: readonly EntryKey[];
}

/** What a `@Cached` on a method does. */
export class MethodCache {
  /** By instance: one class may be used by several apps of a process. */
  private readonly plans = new WeakMap<object, MethodPlan | undefined>();
  private readonly unshareable = new UnshareableKeys();

  constructor(readonly method: CachedMethod) {}

  /** Answers a call from the cache, or runs the method and stores what it answers. */
  readonly call = (call: MethodCall): unknown => {
    const plan = this.planOf(call.self, call.moduleRef);
    // Without a cache the method is what it is without the decorator, synchronous if it is.
    return plan === undefined ? call.run() : this.answer(call, plan);
  };

  /** `undefined`: not cached. Says once what the author should know. */
  planOf(self: object, moduleRef: ModuleRef): MethodPlan | undefined {
    if (this.plans.has(self)) return this.plans.get(self);
    const plan = makeMethodPlan(this.method, self, moduleRef);
    if (plan === 'later') return undefined;
    this.plans.set(self, plan);
    return plan;
  }

  /**
   * Where the answer to a call with these arguments lies.
   *
   * @throws TypeError for arguments that can't stand in a key; or what the option key or tags throws
   */
  entryOf({ label }: MethodPlan, args: readonly unknown[]): CallEntry {
    const { key, tags, place } = this.method.options;
    const call = (): Call => callWith(args);
    // A list of texts is no list of arguments: so the word before it.
    const counting = key === undefined ? argumentText(args) : `key:${JSON.stringify(keyOf(key, call))}`;
    return { key: callKey(label, counting), markers: markersOf(tagsOf(tags, call), place) };
  }

  private async answer({ args, run }: MethodCall, plan: MethodPlan): Promise<unknown> {
    const entry = this.isWanted(args, plan) ? this.entryOrWarning(plan, args) : undefined;
    if (entry === undefined || this.unshareable.has(entry.key)) return run();
    const { options } = this.method;
    const defaults = plan.engine.options;
    const { staleWhileRevalidateMs = defaults.staleWhileRevalidateMs } = options;
    let answered: { readonly value: unknown } | undefined;
    let isOther = false;
    const load = async (): Promise<unknown> => {
      isOther = !this.isStill(entry, plan, args);
      const value = await run();
      answered = { value };
      if (!isOther && !this.isStill(entry, plan, args)) {
        isOther = true;
        this.warn('an answer was not stored, since an argument was changed while the method ran');
      }
      return value;
    };
    try {
      const fetched = await plan.engine.fetch(entry.key, load, {
        ttlMs: options.ttlMs ?? defaults.ttlMs,
        loadTimeoutMs: defaults.loadTimeoutMs,
        staleWhileRevalidateMs: plan.isSingleton ? staleWhileRevalidateMs : 0,
        staleIfErrorMs: options.staleIfErrorMs ?? defaults.staleIfErrorMs,
        lock: options.lock,
        markers: entry.markers,
        excuses: isServerFault,
        admit: (value) => (isOther ? 'own' : this.admit(entry.key, value)),
        onUnserializable: 'own',
      });
      return fetched.value;
    } catch (error) {
      // A method that answered must not run again, nor its call fail, whatever the cache then stumbled over.
      if (answered === undefined) throw error;
      this.warn('an answer was not stored, since the cache failed', error);
      return answered.value;
    }
  }

  /** The caller may have changed an object among the arguments while the cache was being read. */
  private isStill({ key }: CallEntry, plan: MethodPlan, args: readonly unknown[]): boolean {
    try {
      return this.entryOf(plan, args).key === key;
    } catch {
      // They were fit for a key a moment ago.
      return false;
    }
  }

  /** Whether a call with these arguments goes through the cache. Says once why not, where the author may not know. */
  isWanted(args: readonly unknown[], { isPublic, http }: MethodPlan): boolean {
    const { when, key } = this.method.options;
    try {
      // Without a key of its own, a call with such an argument has no key at all.
      if (key !== undefined && !isPublic && (areOfSomebody(args, http) || holdContext(args))) {
        this.warn(
          'a call was not cached, since one of its arguments says who makes it, or may do so: a request, a context, ' +
            'an object with methods. If the option key says it too, or the answer does not depend on it, say ' +
            "scope: 'public'",
        );
        return false;
      }
      if (when === undefined) return true;
      const wanted: unknown = syncAnswer(when(callWith(args)), 'when');
      if (typeof wanted === 'boolean') return wanted;
      this.warn('a call was not cached, since when did not answer true or false');
    } catch (error) {
      this.warn('a call was not cached, since when, or a property of an argument, threw', error);
    }
    return false;
  }

  /**
   * Whether what another method answered to a call may be stored as the answer to these arguments: nobody may find
   * there what this method would have kept out.
   */
  isPutWanted(args: readonly unknown[], putArgs: readonly unknown[], plan: MethodPlan): boolean {
    if (!this.isWanted(args, plan) || !this.isWanted(putArgs, plan)) return false;
    // Without a key of its own too: the arguments that the option args names say nothing of the others.
    return plan.isPublic || !areOfSomebody(putArgs, plan.http);
  }

  private entryOrWarning(plan: MethodPlan, args: readonly unknown[]): CallEntry | undefined {
    try {
      return this.entryOf(plan, args);
    } catch (error) {
      const { key, tags } = this.method.options;
      const hasOwn = key !== undefined || typeof tags === 'function';
      this.warn(
        hasOwn
          ? 'a call was not cached, since its key or its tags could not be made'
          : 'a call was not cached, since an argument can not stand in a key. Say by the option key what counts: ' +
              'key: ({ args }) => [...]',
        error,
      );
      return undefined;
    }
  }

  private admit(key: EntryKey, value: unknown): Admission {
    if (!isPlainAnswer(value)) {
      this.unshareable.add(key);
      this.warn(
        'not cached, since it answers with instances of classes (or objects with methods or hidden properties), of ' +
          'which the cache would keep the data only. Return plain objects',
      );
      return 'own';
    }
    return isDeclined(value, this.method.options) ? 'share' : 'store';
  }

  private warn(message: string, error?: unknown): void {
    warnOfHandler(this.method.options.place, message, error);
  }
}

/** What callbacks are told of a call: there is no request. */
export function callWith(args: readonly unknown[]): Call {
  return Object.freeze({ args: Object.freeze([...args]), params: {}, query: {}, headers: {} });
}
