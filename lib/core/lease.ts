import { type Entry, encodeEntry } from './entry.js';

/** A lease outlives its load, so that a load which ends in time still finds it. */
const LEASE_PER_LOAD = 2;

/**
 * A lease: what a load puts in place of a missing value before it begins, and writes its value over when it ends.
 * `delete`, `set`, `clear` and eviction take it away, so the late write of a load that began before them loses,
 * however late it comes, in whatever process. (The idea of "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.)
 *
 * Reads treat it as absent.
 */
export function encodeLease(nowMs: number, loadTimeoutMs: number): { bytes: Uint8Array; ttlMs: number } {
  const ttlMs = loadTimeoutMs * LEASE_PER_LOAD;
  return { bytes: leaseBytes(nowMs, nowMs + ttlMs), ttlMs };
}

/** What a load that stored nothing leaves instead of its lease: one that has ended, and goes away at once. */
export function encodeEndedLease(nowMs: number): { bytes: Uint8Array; ttlMs: number } {
  return { bytes: leaseBytes(nowMs, nowMs), ttlMs: 1 };
}

/**
 * Whether a load that begins now may write over a lease that another load put there: both began after the last
 * write or invalidation of the key, which is all that a lease says. One that ends before the load may is no use.
 */
export function isSharable(lease: Entry, nowMs: number, loadTimeoutMs: number): boolean {
  return lease.kind === 'lease' && lease.freshUntilMs - nowMs >= loadTimeoutMs;
}

function leaseBytes(storedAtMs: number, freshUntilMs: number): Uint8Array {
  return encodeEntry({ kind: 'lease', codec: '-', storedAtMs, freshUntilMs, tags: [] }, '');
}
