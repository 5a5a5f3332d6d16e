import type { Awaitable } from '../backends/cache-backend.js';
import { BrokenEntryError, LockNotAcquiredError } from './errors.js';
import { decodeEntry } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Absent } from './entry-reader.js';
import { HeldLease } from './held-lease.js';
import { encodeEndedLease, encodeLease, LeaseWatch } from './lease.js';
import { pollDelay } from './poll-delay.js';
import type { Store } from './store.js';

/** How a lock is taken. */
export interface LockRequest {
  readonly key: EntryKey;
  /** So long it outlives a holder that died. */
  readonly leaseMs: number;
  /** How long to wait for others that hold it. */
  readonly waitMs: number;
}

/** Locks among all processes that share a backend: a lease under a key of its own, renewed while the work runs. */
export class Locks {
  /** The work of this process that holds a lock: its waiters need not ask the backend meanwhile. */
  private readonly holders = new Map<EntryKey, Promise<unknown>>();

  constructor(private readonly store: Store) {}

  /**
   * Runs `work` while nobody else holds the lock.
   *
   * @throws LockNotAcquiredError if others held it all the time
   * @throws CachekitError if the backend fails; else what `work` throws
   */
  async run<T>(request: LockRequest, work: (signal: AbortSignal) => Awaitable<T>): Promise<T> {
    const lease = await this.acquire(request);
    const working = (async () => work(lease.lost))();
    const settled = working.catch(() => undefined);
    this.holders.set(request.key, settled);
    try {
      return await working;
    } finally {
      if (this.holders.get(request.key) === settled) this.holders.delete(request.key);
      await this.release(request.key, lease);
    }
  }

  private async acquire({ key, leaseMs, waitMs }: LockRequest): Promise<HeldLease> {
    const endMs = performance.now() + waitMs;
    const watch = new LeaseWatch();
    for (let polls = 0; ; polls++) {
      const found = await this.read(key);
      if (!watch.isHeld(found)) {
        const encode = (untilMs: number, nowMs: number) => encodeLease(nowMs, untilMs - nowMs);
        const lease = await HeldLease.take(this.store, key, found.seen, { encode, leaseMs });
        if (lease !== undefined) return lease;
      }
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new LockNotAcquiredError(readable(key), waitMs);
      await this.pause(key, polls, leftMs);
    }
  }

  /** Until it is worth asking again. */
  private async pause(key: EntryKey, polls: number, atMostMs: number): Promise<void> {
    const holder = this.holders.get(key);
    const delay = pollDelay(polls, atMostMs);
    await (holder === undefined ? delay : Promise.race([holder, delay]));
  }

  private async read(key: EntryKey): Promise<Absent> {
    const stored = await this.store.get(key);
    if (stored === undefined) return { state: 'absent', seen: undefined, markers: [] };
    const seen = { state: 'absent', seen: stored.version, markers: [] } as const;
    try {
      const lease = decodeEntry(stored.bytes);
      return lease.kind === 'lease' ? { ...seen, lease } : seen;
    } catch (error) {
      // Whatever lies there, it is no lock.
      if (error instanceof BrokenEntryError) return seen;
      throw error;
    }
  }

  /** A lock that can't be released now ends by itself. */
  private async release(key: EntryKey, lease: HeldLease): Promise<void> {
    const version = await lease.letGo();
    const { bytes, ttlMs } = encodeEndedLease(Date.now());
    try {
      await this.store.replace(key, version, bytes, ttlMs);
    } catch {
      // The store reported it.
    }
  }
}
