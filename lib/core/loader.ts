import { encodeValue, type TagVersion } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Absent, EntryReader, Failed, Fresh } from './entry-reader.js';
import type { EntryValues } from './entry-values.js';
import { EntryTooLargeError, LoadTimeoutError } from './errors.js';
import type { CacheEventListener, NotStored } from './events.js';
import { encodeEndedLease, encodeLease, isSharable } from './lease.js';
import { type Load, runWithTimeout } from './load-timeout.js';
import type { SerializedValue } from './serializer.js';
import type { Flight } from './single-flight.js';
import type { Store } from './store.js';
import type { TagMarkers } from './tag-markers.js';

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
  /** `0` does not store. Counts from the start of the load. */
  readonly ttlMs: number;
  readonly loadTimeoutMs: number;
  readonly admit: (value: T) => Admission;
  /** Whether a value that can't be serialized is an error of the caller, or is handed to it as it is. */
  readonly onUnserializable: 'reject' | 'own';
}

/** A load that somebody asked for. */
export interface LoadRequest<T> {
  readonly key: EntryKey;
  /** The markers of its tags. */
  readonly markers: readonly EntryKey[];
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

/** A load's right to write: the version it may write over, and the versions of its tags. */
interface Claim {
  readonly state: 'claimed';
  readonly writesOver: string;
  readonly tags: readonly TagVersion[];
  /** Whether the lease is this load's own, and so its to give back. */
  readonly leased: boolean;
}

/** How often a claim is tried again after somebody else wrote first. */
const CLAIM_ATTEMPTS = 3;

/** Runs a load from its claim on the key to the stored entry. */
export class Loader {
  constructor(
    private readonly store: Store,
    private readonly reader: EntryReader,
    private readonly tags: TagMarkers,
    private readonly values: EntryValues,
    private readonly report: CacheEventListener,
  ) {}

  /** Rejects with what the load throws, unchanged, or with a `LoadTimeoutError`; never because of the backend. */
  async run<T>(
    { key, markers, load, options }: LoadRequest<T>,
    seen: Absent | Failed,
    flight: Flight<Loaded<T>>,
  ): Promise<Loaded<T>> {
    const taken = await this.claim(key, markers, seen, options.loadTimeoutMs, flight);
    if (taken.state === 'fresh') return { outcome: 'found', reading: taken };
    const claim = taken.state === 'claimed' ? taken : undefined;
    if (claim === undefined) flight.beginUnclaimed(taken.state === 'failed' ? 'as first seen' : 'unknown');
    else flight.begin(claim.writesOver, claim.tags);
    const beganMs = Date.now();
    let kept = false;
    try {
      const value = await runWithTimeout(load, readable(key), options.loadTimeoutMs);
      const loaded = await this.keep(key, claim, value, beganMs, options);
      kept = loaded.outcome === 'loaded' && loaded.stored;
      return loaded;
    } catch (error) {
      if (error instanceof LoadTimeoutError) this.reportTimeout(key, error);
      throw error;
    } finally {
      if (!kept && claim?.leased) void this.giveBack(key, claim);
    }
  }

  /**
   * Takes the key for a load: answers the claim, or the entry that somebody else stored in the meantime. There is none
   * if the backend failed, or others were faster again and again: then the load's value is not written.
   */
  private async claim(
    key: EntryKey,
    markers: readonly EntryKey[],
    first: Absent | Failed,
    loadTimeoutMs: number,
    flight: Flight<unknown>,
  ): Promise<Claim | Fresh | { state: 'failed' | 'overtaken' }> {
    if (first.state === 'failed') return first;
    try {
      const tags = await this.tags.ensure(markers, first.markers);
      let seen = first;
      for (let attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
        const nowMs = Date.now();
        if (
          seen.lease !== undefined &&
          seen.seen !== undefined &&
          isSharable(seen.lease, nowMs, loadTimeoutMs)
        ) {
          return { state: 'claimed', writesOver: seen.seen, tags, leased: false };
        }
        const { bytes, ttlMs } = encodeLease(nowMs, loadTimeoutMs);
        const lease = await this.store.replace(key, seen.seen, bytes, ttlMs);
        if (lease !== undefined) return { state: 'claimed', writesOver: lease.version, tags, leased: true };
        // Somebody wrote since this caller read. What they wrote may be what it wants, but not what those want who ask
        // from now on: it may be deleted while the answer is on its way.
        flight.beginUnclaimed('unknown');
        const again = await this.reader.readOrThrow(key, markers);
        if (again.state === 'fresh') return again;
        seen = again;
      }
      return { state: 'overtaken' };
    } catch {
      // The store reported it.
      return { state: 'failed' };
    }
  }

  private async keep<T>(
    key: EntryKey,
    claim: Claim | undefined,
    value: T,
    beganMs: number,
    options: LoadOptions<T>,
  ): Promise<Loaded<T>> {
    if (value === undefined) return this.notStored(key, 'absent', { outcome: 'absent' });
    const admission = options.admit(value);
    if (admission === 'own') return this.notStored(key, 'declined', { outcome: 'own', value });
    let serialized: SerializedValue;
    try {
      serialized = this.values.serialize(value);
    } catch (error) {
      if (options.onUnserializable === 'reject') throw error;
      return this.notStored(key, 'unserializable', { outcome: 'own', value }, error);
    }
    const freshUntilMs = beganMs + options.ttlMs;
    const shared: Loaded<T> = { outcome: 'loaded', value: serialized, freshUntilMs, stored: false };
    if (admission === 'share') return this.notStored(key, 'declined', shared);
    const ttlMs = freshUntilMs - Date.now();
    if (ttlMs <= 0) return this.notStored(key, 'expired', shared);
    if (claim === undefined) return this.notStored(key, 'backend', shared);
    const header = { kind: options.kind, storedAtMs: beganMs, freshUntilMs, tags: claim.tags };
    try {
      const bytes = encodeValue(serialized, header);
      const stored = await this.store.replace(key, claim.writesOver, bytes, ttlMs);
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

  /** Nobody waits for it: a lease that stays ends by itself. */
  private async giveBack(key: EntryKey, claim: Claim): Promise<void> {
    const { bytes, ttlMs } = encodeEndedLease(Date.now());
    try {
      await this.store.replace(key, claim.writesOver, bytes, ttlMs);
    } catch {
      // The store reported it.
    }
  }
}
