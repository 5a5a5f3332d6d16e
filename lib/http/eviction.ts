import { BackendUnavailableError, CachekitError, messageOf } from '../core/errors.js';
import type { CacheService } from '../core/cache.service.js';
import type { EntryKey } from '../core/entry-key.js';
import type { ResolvedEviction } from './cache-evict-options.js';
import type { Call } from './call.js';
import { tagsOf } from './cached-options.js';

/** What an eviction is told of a call. */
export interface EvictedBy {
  readonly call: () => Call;
  /** The entries that the option `method` names. Absent where there are none. */
  readonly keys?: () => readonly EntryKey[];
}

/** Evicts. Never rejects: what was done is done, and who asked for it shall know. A failure is told to `onEvent`. */
export async function evict(
  { place, all, tags }: ResolvedEviction,
  { engine }: CacheService,
  { call, keys = () => [] }: EvictedBy,
): Promise<void> {
  try {
    if (all) {
      await engine.clear();
      return;
    }
    const evictions = [engine.delete(keys())];
    const hasTags = typeof tags === 'function' || tags.length > 0;
    if (hasTags) evictions.push(engine.invalidateTags(tagsOf(tags, call), place));
    await Promise.all(evictions);
  } catch (cause) {
    // Anything else than the backend is a fault of a callback: nobody knows what to evict, then or later.
    const consequence = cause instanceof BackendUnavailableError ? MADE_UP_FOR : NOT_MADE_UP_FOR;
    const message = `${place}: the eviction failed. ${consequence} ${messageOf(cause)}`;
    engine.report({ type: 'error', operation: 'evict', error: new CachekitError(message, { cause }) });
  }
}

const MADE_UP_FOR =
  'It is made up for when the backend is back; until then other processes may answer what is stale.';
const NOT_MADE_UP_FOR = 'What to evict could not be told, so stale answers may be served until they expire.';
