import { CachekitError, messageOf } from '../core/errors.js';
import type { DecoratedMethod } from '../http/handlers/decorated-method.js';
import { isPlainAnswer } from '../http/answer/plain-answer.js';
import { warnOfHandler } from '../http/handlers/warn-of-handler.js';
import { isDeclined } from '../http/options/is-declined.js';
import type { ResolvedPut } from './cache-put-options.js';
import { argsOf } from './args-of.js';
import { findCachedMethod } from './cached-methods.js';
import { type CallEntry, callWith, type MethodCache } from './method-cache.js';
import type { MethodPlan } from './method-plan.js';
import { type MethodCall, wrapMethod } from './wrap-method.js';

/** The method whose entries are written, and what is known of it. */
interface Target {
  readonly cached: MethodCache;
  readonly plan: MethodPlan;
}

/** Stores what a method answers as what another one would answer. */
export function putAfterMethod(member: DecoratedMethod, put: ResolvedPut): void {
  wrapMethod(member, (call) => {
    const cached = findCachedMethod(call.self, put.method);
    const plan = cached?.planOf(call.self, call.moduleRef);
    if (cached === undefined || plan === undefined) return call.run();
    return runPutting(call, put, { cached, plan });
  });
}

async function runPutting(call: MethodCall, put: ResolvedPut, target: Target): Promise<unknown> {
  const value = await call.run();
  let entry: CallEntry | undefined;
  try {
    const { cached, plan } = target;
    const args = argsOf(put.args, callWith(call.args), value);
    entry = cached.entryOf(plan, args);
    if (cached.isPutWanted(args, call.args, plan)) await store(entry, value, put, target);
    else await plan.engine.delete([entry.key]);
  } catch (error) {
    await giveUp(entry, error, put, target);
  }
  return value;
}

async function store(
  { key, markers }: CallEntry,
  value: unknown,
  put: ResolvedPut,
  target: Target,
): Promise<void> {
  const { cached, plan } = target;
  const { engine } = plan;
  if (value !== undefined && !isPlainAnswer(value)) {
    warnOfHandler(put.place, 'not stored, since it answers with instances of classes. Return plain objects');
    return engine.delete([key]);
  }
  // What can't be stored still means that the stored answer is an old one.
  if (value === undefined || isDeclined(value, cached.method.options)) return engine.delete([key]);
  const ttlMs = cached.method.options.ttlMs ?? engine.options.ttlMs;
  return engine.set(key, value, typeof ttlMs === 'number' ? ttlMs : ttlMs(value), markers);
}

/** Removes what may be an old answer by now, and tells. Never rejects: the method has done its work. */
async function giveUp(
  entry: CallEntry | undefined,
  cause: unknown,
  { place }: ResolvedPut,
  { plan: { engine } }: Target,
): Promise<void> {
  const message = `${place}: the new answer was not stored. ${messageOf(cause)}`;
  engine.report({ type: 'error', operation: 'put', error: new CachekitError(message, { cause }) });
  if (entry === undefined) return;
  try {
    await engine.delete([entry.key]);
  } catch {
    // It was reported, and is made up for when the backend is back.
  }
}
