import { BackendUnavailableError, CachekitError, messageOf } from '../core/errors.js';
import type { CacheEngine } from '../core/cache-engine.js';
import type { CacheService } from '../core/cache.service.js';
import type { EntryKey } from '../core/entry-key.js';
import type { ResolvedEviction } from './options/cache-evict-options.js';
import type { Call } from './options/call.js';
import { tagsOf } from './options/cached-options.js';

/** Entries that the option `method` names, and the cache that they lie in. */
export interface NamedEntries {
  readonly engine: CacheEngine;
  readonly keys: () => readonly EntryKey[];
}

/** What an eviction is told of a call. */
export interface EvictedBy {
  readonly call: () => Call;
  /** Absent where there are none. */
  readonly entries?: readonly NamedEntries[];
}

/** Starts one part of an eviction, whatever becomes of the others. */
type Part = () => readonly Promise<void>[];

/**
 * Notes what a call evicts, to be called before the method runs.
 *
 * @returns evicts that, and what the arguments say by then: the method may have changed them. Never rejects: what was
 *   done is done, and who asked for it shall know. What fails is told to `onEvent`, and keeps nothing else from being
 *   evicted
 */
export function prepareEviction(
  { place, all, tags }: ResolvedEviction,
  { engine }: CacheService,
  { call, entries = [] }: EvictedBy,
): () => Promise<void> {
  const parts: Part[] = all ? [() => [engine.clear()]] : [];
  for (const named of entries) parts.push(partOf(named.keys, (keys) => named.engine.delete(keys)));
  if (typeof tags === 'function' || tags.length > 0)
    parts.push(
      partOf(
        () => tagsOf(tags, call),
        (some) => engine.invalidateTags(some, place),
      ),
    );
  return async () => {
    const outcomes = await Promise.allSettled(parts.flatMap((part) => part()));
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') reportFailure(engine, place, outcome.reason);
  };
}

function partOf<T>(name: () => readonly T[], evict: (named: readonly T[]) => Promise<void>): Part {
  const early = namedEarly(name);
  return () => {
    let late: readonly T[] = [];
    const evictLate = async (): Promise<void> => {
      late = name();
      await evict(late);
    };
    const evictEarly = async (): Promise<void> => {
      const others = early.filter((item) => !late.includes(item));
      if (others.length > 0) await evict(others);
    };
    // Apart, since together they might be more tags than an eviction takes. The first one has named its own by then.
    return [evictLate(), evictEarly()];
  };
}

function namedEarly<T>(name: () => readonly T[]): readonly T[] {
  try {
    const named: unknown = name();
    return Array.isArray(named) ? (named as readonly T[]) : [];
  } catch {
    // The method may be what makes the arguments fit. If it does not, that is told when it has ended.
    return [];
  }
}

function reportFailure(engine: CacheEngine, place: string, cause: unknown): void {
  // Anything else than the backend is a fault of a callback: nobody knows what to evict, then or later.
  const consequence = cause instanceof BackendUnavailableError ? MADE_UP_FOR : NOT_MADE_UP_FOR;
  const message = `${place}: the eviction failed. ${consequence} ${messageOf(cause)}`;
  engine.report({ type: 'error', operation: 'evict', error: new CachekitError(message, { cause }) });
}

const MADE_UP_FOR =
  'It is made up for when the backend is back; until then other processes may answer what is stale.';
const NOT_MADE_UP_FOR = 'What to evict could not be told, so stale answers may be served until they expire.';
