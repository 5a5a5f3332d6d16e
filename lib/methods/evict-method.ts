import {
  catchError,
  concat,
  concatWith,
  defer,
  EMPTY,
  finalize,
  from,
  ignoreElements,
  isObservable,
  type Observable,
  throwError,
} from 'rxjs';
import type { DecoratedMethod } from '../http/handlers/decorated-method.js';
import { findCache } from '../http/handlers/app-caches.js';
import type { ResolvedEviction } from '../http/options/cache-evict-options.js';
import { type NamedEntries, prepareEviction } from '../http/eviction.js';
import { argsOf } from './args-of.js';
import { cachedMethodsOf } from './cached-methods.js';
import { callWith } from './method-cache.js';
import { type MethodCall, wrapMethod } from './wrap-method.js';

/** When it evicts, and how; it never rejects. */
interface Evicting {
  readonly before: boolean;
  readonly evict: () => Promise<void>;
}

/** Evicts when a method succeeded. Handlers of HTTP routes are left to the interceptor. */
export function evictAfterMethod(member: DecoratedMethod, eviction: ResolvedEviction): void {
  const { before } = eviction;
  wrapMethod(member, (call) => {
    const cache = findCache(call.moduleRef, eviction.cache);
    if (cache === undefined) return call.run();
    const entries = entriesOf(call, eviction);
    const evict = prepareEviction(eviction, cache, { call: () => callWith(call.args), entries });
    return runEvicting(call, { before, evict });
  });
}

async function runEvicting({ run }: MethodCall, evicting: Evicting): Promise<unknown> {
  const { before, evict } = evicting;
  if (before) await evict();
  let evictsNow = before;
  try {
    const value = await run();
    evictsNow = !isObservable(value);
    return isObservable(value) ? evictAfterLast(value, evicting) : value;
  } finally {
    if (evictsNow) await evict();
  }
}

/** Evicts when an Observable has ended, since it does its work when somebody subscribes. */
function evictAfterLast(source: Observable<unknown>, { before, evict }: Evicting): Observable<unknown> {
  return defer(() => {
    let hasEnded = false;
    const evictAtEnd = (isWanted: boolean): Observable<never> => {
      hasEnded = true;
      return isWanted ? from(evict()).pipe(ignoreElements()) : EMPTY;
    };
    return source.pipe(
      catchError((error: unknown) =>
        concat(
          evictAtEnd(before),
          throwError(() => error),
        ),
      ),
      concatWith(defer(() => evictAtEnd(true))),
      // Whoever takes the first value only, leaves before the end. The work may be done all the same.
      finalize(() => {
        if (!hasEnded) void evict();
      }),
    );
  });
}

/** The entries of the call that the option `method` names, of each class that has such a method: one may call another. */
function entriesOf({ self, moduleRef, args }: MethodCall, eviction: ResolvedEviction): NamedEntries[] {
  return cachedMethodsOf(self).flatMap((cached) => {
    if (cached.method.name !== eviction.method) return [];
    const plan = cached.planOf(self, moduleRef);
    if (plan === undefined) return [];
    const keys = () => [cached.entryOf(plan, argsOf(eviction.args, callWith(args), undefined)).key];
    return [{ engine: plan.engine, keys }];
  });
}
