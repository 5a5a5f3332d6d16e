import { encodeEntry, type Entry } from './entry.js';
import type { Absent, Fresh, Stale } from './entry-reader.js';

/** Bytes for the store, and how long it keeps them. */
export interface EncodedLease {
  readonly bytes: Uint8Array;
  readonly ttlMs: number;
}

/**
 * How long a lease lives that is renewed while its holder is at work: so long the others wait for a holder that
 * died. Long enough that a busy event loop renews it in time.
 */
export const HELD_LEASE_MS = 5_000;

/** The last lease. All that are made in one millisecond are the same, which are many where there are many misses. */
let last: EncodedLease & { readonly nowMs: number } = { bytes: new Uint8Array(), ttlMs: 0, nowMs: 0 };

/** A lease outlives its load, so that a load which ends in time still finds it. */
const LEASE_PER_LOAD = 2;

/**
 * A lease: what a load puts in place of a missing value before it begins, and writes its value over when it ends.
 * `delete`, `set`, `clear` and eviction take it away, so the late write of a load that began before them loses,
 * however late it comes, in whatever process. (The idea of "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.)
 *
 * Reads treat it as absent.
 */
export function encodeLease(nowMs: number, ttlMs: number): EncodedLease {
  if (nowMs !== last.nowMs || ttlMs !== last.ttlMs) {
    last = { bytes: leaseBytes(nowMs, nowMs + ttlMs), ttlMs, nowMs };
  }
  return last;
}

/** How long the lease of a load lives that is not renewed. */
export function leaseMsOf(loadTimeoutMs: number): number {
  return loadTimeoutMs * LEASE_PER_LOAD;
}

/** What a load that stored nothing leaves instead of its lease: one that has ended, and goes away at once. */
export function encodeEndedLease(nowMs: number): EncodedLease {
  return { bytes: leaseBytes(nowMs, nowMs), ttlMs: 1 };
}

/**
 * A stale entry that is also a lease: it says that one process refreshes it, while all go on to serve it.
 *
 * @param untilMs when the refresh is given up unless it is renewed; 0: nobody refreshes it any more
 * @param lifeMs for how long after its ttl the store keeps the entry
 */
export function encodeRefreshing(entry: Entry, untilMs: number, nowMs: number, lifeMs: number): EncodedLease {
  const bytes = encodeEntry({ ...entry, refreshUntilMs: untilMs }, entry.payload);
  return { bytes, ttlMs: Math.max(1, entry.freshUntilMs + lifeMs - nowMs) };
}

/**
 * Whether a load that begins now may write over a lease that another load put there: both began after the last
 * write or invalidation of the key, which is all that a lease says. One that ends before the load may is no use.
 */
export function isSharable(lease: Entry, nowMs: number, loadTimeoutMs: number): boolean {
  return lease.kind === 'lease' && lease.freshUntilMs - nowMs >= loadTimeoutMs;
}

/** Whether another process said just now that it refreshes this entry. */
export function isRefreshing({ refreshUntilMs }: Entry, nowMs: number): boolean {
  // Further in the future than anybody writes it, it comes from a clock that is wrong.
  return refreshUntilMs > nowMs && refreshUntilMs <= nowMs + 2 * HELD_LEASE_MS;
}

/**
 * Sees by looking again and again whether the holder of a lease is alive: it is dead once its lease has lain there
 * unchanged for as long as it was good for. That needs no agreement of clocks between processes.
 */
export class LeaseWatch {
  private version: string | undefined;
  private sinceMs = 0;

  /** Whether somebody holds what was found there just now. */
  isHeld(found: Fresh | Stale | Absent): boolean {
    const [version, goodForMs] = leaseIn(found);
    if (goodForMs <= 0) return false;
    if (version !== this.version) {
      this.version = version;
      this.sinceMs = performance.now();
    }
    return performance.now() - this.sinceMs < goodForMs;
  }
}

function leaseIn(found: Fresh | Stale | Absent): [version: string | undefined, goodForMs: number] {
  if (found.state !== 'absent') {
    return [found.stored.version, found.entry.refreshUntilMs === 0 ? 0 : HELD_LEASE_MS];
  }
  if (found.lease === undefined) return [undefined, 0];
  return [found.seen, found.lease.freshUntilMs - found.lease.storedAtMs];
}

function leaseBytes(storedAtMs: number, freshUntilMs: number): Uint8Array {
  return encodeEntry({ kind: 'lease', codec: '-', storedAtMs, freshUntilMs, tags: [] }, '');
}
