import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import type { AppParts } from './cached-handler.js';
import { cachedOptionsOf } from './decorator-metadata.js';
import type { HandlerPlan } from './handler-plan.js';
import { makePlan } from './make-plan.js';
import { UnshareableKeys } from './unshareable-keys.js';
import { warnOfHandler } from './warn-of-handler.js';

const plansByApp = new WeakMap<ModulesContainer, HandlerPlans>();

/** What one app knows of its cached handlers. A handler that two apps have in common has a plan in each. */
export class HandlerPlans {
  private readonly plans = new WeakMap<object, Map<Type, HandlerPlan | undefined>>();
  /** Of all its handlers. */
  readonly unshareable = new UnshareableKeys();

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
