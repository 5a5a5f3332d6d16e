import { types } from 'node:util';
import type { Awaitable, Stored } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import type { Claim, ClaimRequest, Claims, Taken, Unclaimed } from './claims.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Absent, Failed, Fresh, Stale } from './entry-reader.js';
import { type EntryValues, namingKey } from './entry-values.js';
import { EntryTooLargeError, LoadTimeoutError } from './errors.js';
import type { EventHub } from './event-hub.js';
import type { NotStored } from './events.js';
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

/** A value of which every caller gets a copy. */
interface Shared {
  readonly outcome: 'loaded';
  readonly value: SerializedValue;
  readonly freshUntilMs: number;
  readonly stored: boolean;
}

/** What a flight brought. */
export type Loaded<T> =
  | { readonly outcome: 'found'; readonly reading: Fresh }
  | Shared
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
    private readonly hub: EventHub,
  ) {}

  /**
   * Rejects with what the load throws, unchanged, or with why it was given up; never because of the backend.
   *
   * @param onLoad is told just before the load begins, if it does: somebody else may have stored a value by then
   */
  run<T>(
    request: LoadRequest<T>,
    seen: Stale | Absent | Failed | Unclaimed,
    flight: Flight<Loaded<T>>,
    onLoad?: () => void,
  ): Awaitable<Loaded<T>> {
    const taken = this.claims.take(request, seen, flight);
    // By hand, not by `andThen`: with a backend in this process the load alone is waited for. All that lies around it
    // is written without `async` and `await`, which set aside a kilobyte for a function of this size, at every miss.
    if (!types.isPromise(taken)) return this.load(request, taken, flight, onLoad);
    return taken.then((claim) => this.load(request, claim, flight, onLoad));
  }

  private load<T>(
    request: LoadRequest<T>,
    taken: Taken,
    flight: Flight<Loaded<T>>,
    onLoad: (() => void) | undefined,
  ): Awaitable<Loaded<T>> {
    if (taken.state === 'fresh') return { outcome: 'found', reading: taken };
    if (taken.state === 'claimed') flight.begin(taken.base, taken.tags);
    else flight.beginUnclaimed(taken.state === 'failed' ? 'as first seen' : 'unknown');
    onLoad?.();
    const { key, load, abort, options } = request;
    const beganMs = Date.now();
    flight.loadingSinceMs = performance.now();
    return runWithTimeout(load, key, options.loadTimeoutMs, abort).then(
      (value) => this.keepOrGiveBack(request, taken, value, beganMs),
      (error: unknown) => {
        if (error instanceof LoadTimeoutError) this.reportTimeout(key, error);
        this.giveBack(key, taken, { isGone: false });
        throw error;
      },
    );
  }

  private keepOrGiveBack<T>(
    { key, options }: LoadRequest<T>,
    taken: Claim | Unclaimed,
    value: T,
    beganMs: number,
  ): Awaitable<Loaded<T>> {
    const end = (loaded: Loaded<T>): Loaded<T> => {
      if (loaded.outcome === 'loaded' && loaded.stored) return loaded;
      const isGone =
        loaded.outcome === 'absent' || (loaded.outcome === 'loaded' && loaded.freshUntilMs <= beganMs);
      this.giveBack(key, taken, { isGone });
      return loaded;
    };
    try {
      return andThen(this.keep(key, taken, value, beganMs, options), end);
    } catch (error) {
      this.giveBack(key, taken, { isGone: false });
      throw error;
    }
  }

  private giveBack(key: EntryKey, taken: Claim | Unclaimed, why: { isGone: boolean }): void {
    if (taken.state === 'claimed') void this.claims.giveBack(key, taken, why);
  }

  /** Throws what the caller's own code throws, or its value is to blame for; a promise of it never rejects. */
  private keep<T>(
    key: EntryKey,
    claim: Claim | Unclaimed,
    value: T,
    beganMs: number,
    options: LoadOptions<T>,
  ): Awaitable<Loaded<T>> {
    if (value === undefined) return this.notStored(key, 'absent', { outcome: 'absent' });
    const admission = options.admit(value);
    if (admission === 'own') return this.notStored(key, 'declined', { outcome: 'own', value });
    let serialized: SerializedValue;
    try {
      serialized = this.values.serialize(value, options.serializer);
    } catch (error) {
      if (options.onUnserializable === 'reject') throw namingKey(key, error);
      return this.notStored(key, 'unserializable', { outcome: 'own', value }, error);
    }
    const ttlMs = typeof options.ttlMs === 'number' ? options.ttlMs : options.ttlMs(value);
    const freshUntilMs = this.freshUntil(beganMs, ttlMs);
    const shared: Shared = { outcome: 'loaded', value: serialized, freshUntilMs, stored: false };
    if (admission === 'share') return this.notStored(key, 'declined', shared);
    const leftMs = freshUntilMs - Date.now();
    if (leftMs <= 0) return this.notStored(key, 'expired', shared);
    if (claim.state !== 'claimed') return this.notStored(key, REASONS[claim.state], shared);
    const header = { kind: options.kind, storedAtMs: beganMs, freshUntilMs, tags: claim.tags };
    const lifeMs = leftMs + lifeAfterTtlMs(options.staleMs, options.loadTimeoutMs);
    return this.write(key, claim, shared, header, lifeMs);
  }

  /** Never rejects: a value that could not be stored is answered all the same. */
  private write(
    key: EntryKey,
    claim: Claim,
    shared: Shared,
    header: Parameters<EntryValues['encode']>[1],
    lifeMs: number,
  ): Awaitable<Shared> {
    const written = (stored: Stored | undefined): Shared => {
      if (stored === undefined) return this.notStored(key, 'outdated', shared);
      this.hub.reportKey('set', key);
      return { outcome: 'loaded', value: shared.value, freshUntilMs: shared.freshUntilMs, stored: true };
    };
    const failed = (error: unknown): Shared =>
      this.notStored(key, error instanceof EntryTooLargeError ? 'too-large' : 'backend', shared, error);
    try {
      const bytes = this.values.encode(shared.value, header);
      const writing = andThen(claim.finish(), (version) => this.store.replace(key, version, bytes, lifeMs));
      return types.isPromise(writing) ? writing.then(written, failed) : written(writing);
    } catch (error) {
      return failed(error);
    }
  }

  private notStored<R>(key: EntryKey, reason: NotStored, result: R, error?: unknown): R {
    this.hub.report({
      type: 'not-stored',
      key: readable(key),
      reason,
      ...(error !== undefined && { error }),
    });
    return result;
  }

  private reportTimeout(key: EntryKey, error: LoadTimeoutError): void {
    this.hub.report({ type: 'timeout', key: readable(key), timeoutMs: error.timeoutMs });
  }
}
