import type { EntryKey } from './entry-key.js';
import { type EncodedLease, HELD_LEASE_MS } from './lease.js';
import type { Store } from './store.js';

/** How often a lease is renewed in its life, so that one renewal may fail. */
const RENEWALS_PER_LIFE = 3;
/** So soon the holder of a long lease learns that somebody took it away. */
const LONGEST_RENEWAL_MS = 5_000;

/** How a lease is held. */
export interface Hold {
  /** Makes the bytes of a lease that is good until then, in milliseconds since 1970. */
  readonly encode: (untilMs: number, nowMs: number) => EncodedLease;
  /** How long it is good for without being renewed, in milliseconds. Default: 5,000. */
  readonly leaseMs?: number;
  /** Is told the version under which it lies after a renewal. Default: nobody is. */
  readonly onRenewed?: (version: string) => void;
}

/** A lease that is renewed until it is let go, so that it may be short, and soon ends by itself when its holder dies. */
export class HeldLease {
  private readonly loss = new AbortController();
  private readonly leaseMs: number;
  private timer: NodeJS.Timeout | undefined;
  private end: NodeJS.Timeout | undefined;
  private renewal: Promise<void> = Promise.resolve();

  private constructor(
    private readonly store: Store,
    private readonly key: EntryKey,
    private readonly hold: Hold,
    private version: string,
    sentMs: number,
  ) {
    this.leaseMs = leaseMsOf(hold);
    this.renewed(version, sentMs);
  }

  /**
   * Writes the lease over the version `seen`; answers `undefined` if somebody else was first.
   *
   * @throws CachekitError if the backend fails
   */
  static async take(
    store: Store,
    key: EntryKey,
    seen: string | undefined,
    hold: Hold,
  ): Promise<HeldLease | undefined> {
    const sentMs = performance.now();
    const { bytes, ttlMs } = encodeOf(hold);
    const written = await store.replace(key, seen, bytes, ttlMs);
    return written && new HeldLease(store, key, hold, written.version, sentMs);
  }

  /** Aborts when somebody took the lease away, or when it could not be renewed for its whole life. */
  get lost(): AbortSignal {
    return this.loss.signal;
  }

  /** The version under which it lies. */
  get present(): string {
    return this.version;
  }

  /** Ends the renewal. Answers the version under which the lease lies, to be written over. */
  async letGo(): Promise<string> {
    clearTimeout(this.timer);
    clearTimeout(this.end);
    // A renewal that is under way gives the lease another version.
    await this.renewal;
    clearTimeout(this.timer);
    clearTimeout(this.end);
    return this.version;
  }

  private async renew(): Promise<void> {
    const sentMs = performance.now();
    try {
      const { bytes, ttlMs } = encodeOf(this.hold);
      const written = await this.store.replace(this.key, this.version, bytes, ttlMs);
      if (written === undefined) return this.lose();
      this.renewed(written.version, sentMs);
    } catch {
      // The store reported it.
      if (!this.loss.signal.aborted) this.renewLater();
    }
  }

  /** @param sentMs when the write was sent: from then on it is good, at the latest */
  private renewed(version: string, sentMs: number): void {
    this.version = version;
    clearTimeout(this.end);
    // Not when a renewal fails: that may take longer than the lease lives, and others hold it then.
    this.end = setTimeout(() => this.lose(), Math.max(0, sentMs + this.leaseMs - performance.now()));
    this.end.unref();
    this.hold.onRenewed?.(version);
    this.renewLater();
  }

  private renewLater(): void {
    const delayMs = Math.min(this.leaseMs / RENEWALS_PER_LIFE, LONGEST_RENEWAL_MS);
    this.timer = setTimeout(() => {
      this.renewal = this.renew();
    }, delayMs);
    // Whoever holds it is at work, which keeps the process alive; if nothing else does, it may end.
    this.timer.unref();
  }

  private lose(): void {
    clearTimeout(this.timer);
    clearTimeout(this.end);
    this.loss.abort();
  }
}

function encodeOf(hold: Hold): EncodedLease {
  const nowMs = Date.now();
  return hold.encode(nowMs + leaseMsOf(hold), nowMs);
}

function leaseMsOf({ leaseMs = HELD_LEASE_MS }: Hold): number {
  return leaseMs;
}
