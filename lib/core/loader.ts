import type { Claim, ClaimRequest, Claims, Unclaimed } from './claims.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Absent, Failed, Fresh, Stale } from './entry-reader.js';
import type { EntryValues } from './entry-values.js';
import { EntryTooLargeError, LoadTimeoutError } from './errors.js';
import type { CacheEventListener, NotStored } from './events.js';
import { type Load, runWithTimeout } from './load-timeout.js';
import type { SerializedValue, SharingSerializer } from './serializer.js';
import type { Flight } from './single-flight.js';
import type { Store } from './store.js';
import { lifeAfterTtlMs } from './store-life.js';

/**
 * What becomes of what a load answered:
 * - `store`: it is stored, and every caller gets a copy out of the serializer;
 * - `share`: the same, but it is not stored;
 * - `own`: it belongs to the caller whose load it was (a stream, say). That caller gets the very object, nothing is
 *   stored, and the callers that waited run a load of their own.
 */
export type Admission = 'store' | 'share' | 'own';

/** How a value is loaded and kept. */
export interface LoadOptions<T> {
  readonly kind: 'value' | 'http';
  /** `0` does not store. Counts from the start of the load. A function is given the value that was loaded. */
  readonly ttlMs: TtlMs<T>;
  readonly loadTimeoutMs: number;
  /** How long the entry is kept after its ttl, to be answered stale. */
  readonly staleMs: number;
  /** Whether only one process may load at a time. */
  readonly lock: boolean;
  readonly admit: (value: T) => Admission;
  /** Whether a value that can't be serialized is an error of the caller, or is handed to it as it is. */
  readonly onUnserializable: 'reject' | 'own';
  /** `undefined`: the cache's. */
  readonly serializer: SharingSerializer | undefined;
}

/** How long a value stays fresh, in milliseconds, or what says so once it is there. */
export type TtlMs<T> = number | ((value: T) => number);

/** A load that somebody asked for. */
export interface LoadRequest<T> extends ClaimRequest {
  readonly load: Load<T>;
  readonly options: LoadOptions<T>;
}

/** What a flight brought. */
export type Loaded<T> =
  | { readonly outcome: 'found'; readonly reading: Fresh }
  | {
      readonly outcome: 'loaded';
      readonly value: SerializedValue;
      readonly freshUntilMs: number;
      readonly stored: boolean;
    }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'own'; readonly value: T };

/** Why the answer of a load without a claim is not stored. */
const REASONS = {
  failed: 'backend',
  overtaken: 'overtaken',
  alone: 'alone',
} as const satisfies Record<Unclaimed['state'], NotStored>;

/** Runs a load from its claim on the key to the stored entry. */
export class Loader {
  constructor(
    private readonly store: Store,
    private readonly claims: Claims,
    private readonly values: EntryValues,
    private readonly freshUntil: (fromMs: number, ttlMs: number) => number,
    private readonly report: CacheEventListener,
  ) {}

  /**
   * Rejects with what the load throws, unchanged, or with why it was given up; never because of the backend.
   *
   * @param onLoad is told just before the load begins, if it does: somebody else may have stored a value by then
   */
  async run<T>(
    request: LoadRequest<T>,
    seen: Stale | Absent | Failed | Unclaimed,
    flight: Flight<Loaded<T>>,
    onLoad?: () => void,
  ): Promise<Loaded<T>> {
    const { key, load, abort, options } = request;
    const taken = await this.claims.take(request, seen, flight);
    if (taken.state === 'fresh') return { outcome: 'found', reading: taken };
    const claim = taken.state === 'claimed' ? taken : undefined;
    if (claim === undefined) flight.beginUnclaimed(taken.state === 'failed' ? 'as first seen' : 'unknown');
    else flight.begin(claim.base, claim.tags);
    onLoad?.();
    const beganMs = Date.now();
    let [kept, isGone] = [false, false];
    try {
      flight.loadingSinceMs = performance.now();
      const value = await runWithTimeout(load, readable(key), options.loadTimeoutMs, abort);
      const loaded = await this.keep(key, taken, value, beganMs, options);
      kept = loaded.outcome === 'loaded' && loaded.stored;
      isGone = loaded.outcome === 'absent' || (loaded.outcome === 'loaded' && loaded.freshUntilMs <= beganMs);
      return loaded;
    } catch (error) {
      if (error instanceof LoadTimeoutError) this.reportTimeout(key, error);
      throw error;
    } finally {
      if (!kept && claim !== undefined) void this.claims.giveBack(key, claim, { isGone });
    }
  }

  private async keep<T>(
    key: EntryKey,
    claim: Claim | Unclaimed,
    value: T,
    beganMs: number,
    options: LoadOptions<T>,
  ): Promise<Loaded<T>> {
    if (value === undefined) return this.notStored(key, 'absent', { outcome: 'absent' });
    const admission = options.admit(value);
    if (admission === 'own') return this.notStored(key, 'declined', { outcome: 'own', value });
    let serialized: SerializedValue;
    try {
      serialized = this.values.serialize(value, options.serializer);
    } catch (error) {
      if (options.onUnserializable === 'reject') throw error;
      return this.notStored(key, 'unserializable', { outcome: 'own', value }, error);
    }
    const ttlMs = typeof options.ttlMs === 'number' ? options.ttlMs : options.ttlMs(value);
    const freshUntilMs = this.freshUntil(beganMs, ttlMs);
    const shared: Loaded<T> = { outcome: 'loaded', value: serialized, freshUntilMs, stored: false };
    if (admission === 'share') return this.notStored(key, 'declined', shared);
    const leftMs = freshUntilMs - Date.now();
    if (leftMs <= 0) return this.notStored(key, 'expired', shared);
    if (claim.state !== 'claimed') return this.notStored(key, REASONS[claim.state], shared);
    const header = { kind: options.kind, storedAtMs: beganMs, freshUntilMs, tags: claim.tags };
    try {
      const bytes = this.values.encode(serialized, header);
      const lifeMs = leftMs + lifeAfterTtlMs(options.staleMs, options.loadTimeoutMs);
      const stored = await this.store.replace(key, await claim.finish(), bytes, lifeMs);
      if (stored === undefined) return this.notStored(key, 'outdated', shared);
    } catch (error) {
      const reason = error instanceof EntryTooLargeError ? 'too-large' : 'backend';
      return this.notStored(key, reason, shared, error);
    }
    this.report({ type: 'set', key: readable(key) });
    return { outcome: 'loaded', value: serialized, freshUntilMs, stored: true };
  }

  private notStored<R>(key: EntryKey, reason: NotStored, result: R, error?: unknown): R {
    this.report({ type: 'not-stored', key: readable(key), reason, ...(error !== undefined && { error }) });
    return result;
  }

  private reportTimeout(key: EntryKey, error: LoadTimeoutError): void {
    this.report({ type: 'timeout', key: readable(key), timeoutMs: error.timeoutMs });
  }
}
