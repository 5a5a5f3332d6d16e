import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { LRUCache } from 'lru-cache';
import type { EntryKey } from '../../core/entry-key.js';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import { cachedOptionsOf } from './decorator-metadata.js';
import { type AppParts, type HandlerPlan, makePlan } from './handler-plan.js';
import { warnOfHandler } from './warn-of-handler.js';

/** Of all handlers of an app. A key that is forgotten costs those who ask for it next a wait in vain. */
const MOST_UNSHAREABLE_KEYS = 1_000;
/** Long enough that nobody waits behind a stream; short, since one odd request must not spoil a key for others. */
const MEMORY_MS = 5_000;

const plansByApp = new WeakMap<ModulesContainer, HandlerPlans>();

/** What one app knows of its cached handlers. A handler that two apps have in common has a plan in each. */
export class HandlerPlans {
  private readonly plans = new WeakMap<object, Map<Type, HandlerPlan | undefined>>();
  private readonly unshareable = new LRUCache<EntryKey, true>({ max: MOST_UNSHAREABLE_KEYS, ttl: MEMORY_MS });

  private constructor(private readonly app: AppParts) {}

  /** Those of the app that these parts belong to. */
  static of(app: AppParts): HandlerPlans {
    const known = plansByApp.get(app.modules);
    if (known !== undefined) return known;
    const plans = new HandlerPlans(app);
    plansByApp.set(app.modules, plans);
    return plans;
  }

  /** The plan of a handler of a controller; `undefined` for one without `@Cached`. */
  planOf(controller: Type, handler: object): HandlerPlan | undefined {
    const known = this.plans.get(handler);
    const found = known?.get(controller);
    // That there is none is remembered too: placed in a global list, this is asked for every route of the app.
    if (found !== undefined || known?.has(controller) === true) return found;
    const options = cachedOptionsOf(handler);
    const plan = options === undefined ? undefined : this.makeSafely(controller, handler, options);
    const plans = known ?? new Map<Type, HandlerPlan | undefined>();
    this.plans.set(handler, plans.set(controller, plan));
    return plan;
  }

  /** For the next few seconds nobody waits for an answer to this key: it could not be shared. */
  rememberUnshareable(key: EntryKey): void {
    this.unshareable.set(key, true);
  }

  isUnshareable(key: EntryKey): boolean {
    // Mostly there is none, and to ask the list would cost a look at the clock.
    return this.unshareable.size > 0 && this.unshareable.has(key);
  }

  /** No request shall fail because of its plan. */
  private makeSafely(controller: Type, handler: object, options: ResolvedCachedOptions): HandlerPlan {
    try {
      return makePlan({ app: this.app, controller, handler, options });
    } catch (error) {
      warnOfHandler(options.place, 'not cached, since it could not be examined', error);
      return { caches: false, saysSo: false };
    }
  }
}
