import { types } from 'node:util';
import type { Awaitable } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import type { TagVersion } from './entry.js';
import type { EntryKey } from './entry-key.js';
import type { Absent, EntryReader, Failed, Fresh, Stale } from './entry-reader.js';
import { HeldLease } from './held-lease.js';
import {
  encodeEndedLease,
  encodeLease,
  encodeRefreshing,
  type EncodedLease,
  isSharable,
  leaseMsOf,
  LeaseWatch,
} from './lease.js';
import { pollDelay } from './poll-delay.js';
import type { Flight } from './single-flight.js';
import type { Store } from './store.js';
import { lifeAfterTtlMs } from './store-life.js';
import type { TagMarkers } from './tag-markers.js';

/** What is claimed, and for what load. */
export interface ClaimRequest {
  readonly key: EntryKey;
  /** The markers of its tags. */
  readonly markers: readonly EntryKey[];
  /** Gives the load up, and the wait for its turn. `undefined`: nothing does. */
  readonly abort: AbortController | undefined;
  readonly options: {
    readonly loadTimeoutMs: number;
    /** Whether only one process may load at a time. */
    readonly lock: boolean;
    /** For how long after its ttl an entry is usable. */
    readonly staleMs: number;
  };
}

/** A load's right to write. */
export interface Claim {
  readonly state: 'claimed';
  /** What lies under the key while the load runs. */
  readonly base: string;
  /** The versions of its tags before the load began. */
  readonly tags: readonly TagVersion[];
  /** The version to write over. No other write of this claim is under way then, nor comes later. */
  readonly finish: () => Awaitable<string>;
  /** What to write over that version if nothing is stored; `undefined`: what lies there may stay. */
  readonly remains: (() => EncodedLease) | undefined;
}

/**
 * A load without the right to write:
 * - `failed`: the backend failed, so nobody knows what lies there
 * - `overtaken`: others wrote first again and again, or held the key for as long as the load may take
 * - `alone`: its caller wanted none
 */
export interface Unclaimed {
  readonly state: 'failed' | 'overtaken' | 'alone';
}

/** What a load got that wanted to claim its key. */
export type Taken = Claim | Fresh | Unclaimed;

const FAILED: Unclaimed = { state: 'failed' };

/** How often a claim is tried again after somebody else wrote first. */
const CLAIM_ATTEMPTS = 3;

/** Takes keys for loads: with a lease where nothing lies, else over the stale entry that the load was started for. */
export class Claims {
  constructor(
    private readonly store: Store,
    private readonly reader: EntryReader,
    private readonly tags: TagMarkers,
  ) {}

  /** Answers the claim, or the entry that somebody else stored in the meantime, or why there is none. Never rejects. */
  take(
    request: ClaimRequest,
    first: Stale | Absent | Failed | Unclaimed,
    flight: Flight<unknown>,
  ): Awaitable<Taken> {
    if (isUnclaimed(first)) return first;
    try {
      const taken = andThen(this.tags.ensure(request.markers, first.markers), (tags) =>
        request.options.lock
          ? this.takeLocked(request, first, flight, tags)
          : this.takeShared(request, first, flight, tags, CLAIM_ATTEMPTS),
      );
      return types.isPromise(taken) ? taken.catch(() => FAILED) : taken;
    } catch {
      // The store reported it: a backend may also throw at once.
      return FAILED;
    }
  }

  /**
   * Loads of other processes may run at the same time; the first to end stores its value. When the one that put the
   * lease there fails, it takes it away, and those that shared it store nothing: they could not tell that from a
   * `delete`. The next load is stored.
   */
  private takeShared(
    request: ClaimRequest,
    seen: Stale | Absent,
    flight: Flight<unknown>,
    tags: readonly TagVersion[],
    attemptsLeft: number,
  ): Awaitable<Taken> {
    const { key, options } = request;
    if (seen.state === 'stale') return over(seen.stored.version, tags, undefined);
    const nowMs = Date.now();
    const sharable = seen.lease !== undefined && isSharable(seen.lease, nowMs, options.loadTimeoutMs);
    if (sharable && seen.seen !== undefined) return over(seen.seen, tags, undefined);
    const { bytes, ttlMs } = encodeLease(nowMs, leaseMsOf(options.loadTimeoutMs));
    return andThen(this.store.replace(key, seen.seen, bytes, ttlMs), (lease) =>
      lease === undefined
        ? this.takeSharedAgain(request, flight, tags, attemptsLeft - 1)
        : over(lease.version, tags, endedLease),
    );
  }

  /** After somebody else wrote first. */
  private async takeSharedAgain(
    request: ClaimRequest,
    flight: Flight<unknown>,
    tags: readonly TagVersion[],
    attemptsLeft: number,
  ): Promise<Taken> {
    const again = await this.readAgain(request, flight);
    if (again.state === 'fresh') return again;
    if (attemptsLeft === 0) return { state: 'overtaken' };
    return this.takeShared(request, again, flight, tags, attemptsLeft);
  }

  /** One process loads, the others wait for it; for at most the time that a load may take. */
  private async takeLocked(
    request: ClaimRequest,
    first: Stale | Absent,
    flight: Flight<unknown>,
    tags: readonly TagVersion[],
  ): Promise<Taken> {
    const watch = new LeaseWatch();
    const endMs = performance.now() + request.options.loadTimeoutMs;
    let seen = first;
    for (let polls = 0; performance.now() < endMs && request.abort?.signal.aborted !== true; polls++) {
      if (watch.isHeld(seen)) {
        flight.awaitTurn();
        await pollDelay(polls, endMs - performance.now());
      } else {
        const claim = await this.hold(request, seen, flight, tags);
        if (claim !== undefined) return claim;
      }
      const again = await this.readAgain(request, flight);
      if (again.state === 'fresh') return again;
      seen = again;
    }
    return { state: 'overtaken' };
  }

  private async hold(
    { key, options }: ClaimRequest,
    seen: Stale | Absent,
    flight: Flight<unknown>,
    tags: readonly TagVersion[],
  ): Promise<Claim | undefined> {
    const { entry, version } =
      seen.state === 'stale'
        ? { entry: seen.entry, version: seen.stored.version }
        : { entry: undefined, version: seen.seen };
    const encode = (untilMs: number, nowMs: number): EncodedLease =>
      entry === undefined
        ? encodeLease(nowMs, untilMs - nowMs)
        : encodeRefreshing(entry, untilMs, nowMs, lifeAfterTtlMs(options.staleMs, options.loadTimeoutMs));
    const onRenewed = (renewed: string): void => flight.rebase(renewed);
    const held = await HeldLease.take(this.store, key, version, { encode, onRenewed });
    if (held === undefined) return undefined;
    const remains = entry === undefined ? endedLease : () => encode(0, Date.now());
    return { state: 'claimed', base: held.present, tags, finish: () => held.letGo(), remains };
  }

  /**
   * Somebody wrote since this caller read. What they wrote may be what it wants, but not what those want who ask from
   * now on: it may be deleted while the answer is on its way.
   */
  private readAgain(
    { key, markers, options }: ClaimRequest,
    flight: Flight<unknown>,
  ): Promise<Fresh | Stale | Absent> {
    flight.beginUnclaimed('unknown');
    return Promise.resolve(this.reader.readOrThrow(key, markers, options.staleMs));
  }

  /**
   * Leaves the key to others after a load that stored nothing. Nobody waits for it: a lease that stays ends by itself.
   *
   * @param isGone the load has found that there is no value any more, so neither shall a stale one stay
   */
  async giveBack(key: EntryKey, claim: Claim, { isGone }: { isGone: boolean }): Promise<void> {
    const remains = isGone ? endedLease : claim.remains;
    try {
      const version = await claim.finish();
      if (remains === undefined) return;
      const { bytes, ttlMs } = remains();
      await this.store.replace(key, version, bytes, ttlMs);
    } catch {
      // The store reported it.
    }
  }
}

function isUnclaimed(seen: Stale | Absent | Failed | Unclaimed): seen is Unclaimed {
  return seen.state !== 'stale' && seen.state !== 'absent';
}

/** A claim on what lies under this version, which nobody renews. */
function over(version: string, tags: readonly TagVersion[], remains: Claim['remains']): Claim {
  return { state: 'claimed', base: version, tags, finish: () => version, remains };
}

const endedLease = (): EncodedLease => encodeEndedLease(Date.now());
