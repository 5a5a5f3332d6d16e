import type { EntryKey } from '../core/entry-key.js';
import { findCache } from '../http/app-caches.js';
import type { ResolvedEviction } from '../http/cache-evict-options.js';
import { evict } from '../http/eviction.js';
import { argsOf } from './args-of.js';
import { findCachedMethod } from './cached-methods.js';
import { callWith } from './method-cache.js';
import { type Member, type MethodCall, wrapMethod } from './wrap-method.js';

/** Evicts when a method succeeded. Handlers of HTTP routes are left to the interceptor. */
export function evictAfterMethod(member: Member, eviction: ResolvedEviction): void {
  wrapMethod(member, (call) => {
    const cache = findCache(call.moduleRef, eviction.cache);
    return cache === undefined ? call.run() : runEvicting(call, eviction.before, () => evictBy(call));
  });

  async function evictBy(call: MethodCall): Promise<void> {
    const cache = findCache(call.moduleRef, eviction.cache);
    if (cache === undefined) return;
    await evict(eviction, cache, { call: () => callWith(call.args), keys: () => keysOf(call, eviction) });
  }
}

async function runEvicting(
  { run }: MethodCall,
  before: boolean,
  evictNow: () => Promise<void>,
): Promise<unknown> {
  if (before) await evictNow();
  let succeeded = false;
  try {
    const value = await run();
    succeeded = true;
    return value;
  } finally {
    if (succeeded || before) await evictNow();
  }
}

/** The entry of the call that the option `method` names; none if calls of that method are not cached. */
function keysOf({ self, moduleRef, args }: MethodCall, eviction: ResolvedEviction): readonly EntryKey[] {
  if (eviction.method === undefined) return [];
  const cached = findCachedMethod(self, eviction.method);
  const plan = cached?.planOf(self, moduleRef);
  if (cached === undefined || plan === undefined) return [];
  return [cached.entryOf(plan, argsOf(eviction.args, callWith(args), undefined)).key];
}
