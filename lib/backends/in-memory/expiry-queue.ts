/** Something that expires, and its place in the list of those that expire in the same second. */
export interface Expiring {
  previous: Expiring | undefined;
  next: Expiring | undefined;
  /** Since the process started; 0 while it is in no list. */
  expiresAtSecond: number;
}

/** So many are dropped before other work gets its turn: well under a millisecond. */
const SLICE = 500;
const SECOND_MS = 1_000;

/**
 * Drops entries after they have expired, without a timer for each and without walking through those that have not.
 *
 * One doubly linked list for each second in which something expires, threaded through the entries themselves: adding
 * and removing cost a few assignments, and nothing is left behind by an entry that is overwritten or evicted.
 */
export class ExpiryQueue<T extends Expiring> {
  private readonly heads = new Map<number, T>();
  private timer: NodeJS.Timeout | undefined;
  private slice: NodeJS.Immediate | undefined;
  private readonly self = new WeakRef(this);
  /** All lists up to this second are empty. */
  private sweptUntil = currentSecond();

  /** @param drop removes an expired entry, which must end in a call of `remove` */
  constructor(private readonly drop: (entry: T) => void) {}

  add(entry: T, ttlMs: number): void {
    if (ttlMs === Infinity) return;
    // Rounded up: never before its time. Monotonic, so that setting the clock neither drops nor keeps anything.
    const second = Math.floor((performance.now() + ttlMs) / SECOND_MS) + 1;
    const head = this.heads.get(second);
    entry.expiresAtSecond = second;
    entry.next = head;
    if (head !== undefined) head.previous = entry;
    this.heads.set(second, entry);
    if (this.timer === undefined) {
      // After a long rest there are no empty seconds to walk through.
      this.sweptUntil = currentSecond();
      this.timer = this.wakeLater();
    }
  }

  remove(entry: T): void {
    const { expiresAtSecond, previous, next } = entry;
    if (expiresAtSecond === 0) return;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else if (next !== undefined) this.heads.set(expiresAtSecond, next as T);
    else this.heads.delete(expiresAtSecond);
    entry.expiresAtSecond = 0;
    entry.previous = undefined;
    entry.next = undefined;
  }

  /** Drops nothing any more. */
  stop(): void {
    clearTimeout(this.timer);
    clearImmediate(this.slice);
  }

  private sweep(): void {
    let budget = SLICE;
    for (const now = currentSecond(); this.sweptUntil < now; this.sweptUntil++) {
      const second = this.sweptUntil + 1;
      for (let entry = this.heads.get(second); entry !== undefined; entry = this.heads.get(second)) {
        if (budget-- === 0) return this.goOn();
        this.drop(entry);
      }
    }
    this.timer = this.heads.size === 0 ? undefined : this.wakeLater();
  }

  /** The next slice, after what is waiting for the event loop. */
  private goOn(): void {
    this.slice = setImmediate(() => this.sweep()).unref();
  }

  private wakeLater(): NodeJS.Timeout {
    // A weak reference: the timer does not keep a backend that nobody has any more.
    return setTimeout(() => this.self.deref()?.sweep(), SECOND_MS).unref();
  }
}

function currentSecond(): number {
  return Math.floor(performance.now() / SECOND_MS);
}
