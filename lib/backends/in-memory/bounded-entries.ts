import { ExpiryQueue } from './expiry-queue.js';
import type { MemoryEntry } from './memory-entry.js';
import { ShardedMap } from './sharded-map.js';
import { UseOrder } from './use-order.js';

/** How much may be held at once. */
export interface Bounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Entries by key, no more than there is room for, each until it expires. */
export class BoundedEntries {
  private readonly byKey = new ShardedMap<MemoryEntry>();
  private readonly order = new UseOrder<MemoryEntry>();
  private readonly expiry = new ExpiryQueue<MemoryEntry>((entry) => this.remove(entry));
  private count = 0;
  private bytes = 0;

  /** @param onEviction is told the key of what was removed for want of room */
  constructor(
    private readonly bounds: Bounds,
    private readonly onEviction: (key: string) => void,
  ) {}

  /** Reading it is a use. */
  get(key: string): MemoryEntry | undefined {
    const entry = this.byKey.get(key);
    if (entry !== undefined) this.order.touch(entry);
    return entry;
  }

  /** Without counting as a use. */
  peek(key: string): MemoryEntry | undefined {
    return this.byKey.get(key);
  }

  /**
   * Puts it in the place of what has its key. It must not be larger than all of them may be.
   *
   * @param previous what has its key, which who writes has looked up already
   */
  put(entry: MemoryEntry, previous: MemoryEntry | undefined, ttlMs: number): void {
    if (previous !== undefined) this.unlink(previous);
    this.byKey.set(entry.key, entry);
    this.order.add(entry);
    this.expiry.add(entry, ttlMs);
    this.count++;
    this.bytes += entry.sizeInBytes;
    this.evict();
  }

  delete(key: string): void {
    const entry = this.byKey.get(key);
    if (entry !== undefined) this.remove(entry);
  }

  /** Removes nothing any more by itself. */
  stop(): void {
    this.expiry.stop();
  }

  private evict(): void {
    while (this.count > this.bounds.maxEntries || this.bytes > this.bounds.maxBytes) {
      const { oldest } = this.order;
      if (oldest === undefined) return;
      this.remove(oldest);
      this.onEviction(oldest.key);
    }
  }

  private remove(entry: MemoryEntry): void {
    this.byKey.delete(entry.key);
    this.unlink(entry);
  }

  private unlink(entry: MemoryEntry): void {
    this.order.remove(entry);
    this.expiry.remove(entry);
    this.count--;
    this.bytes -= entry.sizeInBytes;
  }
}
