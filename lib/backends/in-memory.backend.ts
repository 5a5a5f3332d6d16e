import { LRUCache } from 'lru-cache';
import { CachekitConfigError, EntryTooLargeError } from '../core/errors.js';
import { checkOptionNames } from '../core/option-names.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import { ExpiryQueue, type Expiring } from './expiry-queue.js';
import { checkNamespace, DEFAULT_NAMESPACE } from './namespace.js';

/** How large an `InMemoryBackend` may grow. */
export interface InMemoryBackendOptions {
  /** The most entries it holds; the least recently used one is evicted for another. Default: 100,000. */
  readonly maxEntries?: number;
  /** The most bytes its entries take, with keys and bookkeeping. Default: 134,217,728 (128 MiB). */
  readonly maxBytes?: number;
  /**
   * Checked as with every other backend, so that one line swaps them. An instance shares its entries with nobody,
   * so it has no other effect. Default: `cachekit`.
   */
  readonly namespace?: string;
}

const OPTIONS = ['maxEntries', 'maxBytes', 'namespace'] satisfies (keyof InMemoryBackendOptions)[];

const DEFAULT_MAX_ENTRIES = 100_000;
/** A Map of V8 holds 2^24 (16.7 million). */
const MOST_ENTRIES = 16_000_000;
const DEFAULT_MAX_BYTES = 128 * 1024 * 1024;

/** What an entry costs beside its bytes and its key, in bytes: measured with `npm run bench -- scale`. */
const BOOKKEEPING_BYTES = 400;

/** So few are removed faster than room for `maxEntries` others is set aside again, which takes some milliseconds. */
const FEW_ENTRIES = 10_000;

/** V8 keeps a string with one byte a character, or two if it has any character beyond Latin-1: counted as two. */
const BYTES_PER_CHARACTER = 2;

/**
 * Entries in the memory of this process, bounded in number and bytes; the least recently used one goes first.
 * Answers synchronously. Expired entries leave by themselves within a second or two, a few at a time; its timer
 * does not keep the process alive.
 */
export class InMemoryBackend extends CacheBackend {
  private readonly maxEntries: number;
  private readonly maxBytes: number;
  /** Made at the first write, since room for all its entries is set aside then. */
  private space: Space | undefined;
  private writes = 0;
  private readonly evictionListeners = new Set<(key: string) => void>();

  /** @throws CachekitConfigError for an option out of range */
  constructor(options: InMemoryBackendOptions = {}) {
    super();
    checkOptionNames(options, OPTIONS, 'InMemoryBackend');
    checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'InMemoryBackend');
    this.maxEntries = wholeNumber(options.maxEntries ?? DEFAULT_MAX_ENTRIES, MOST_ENTRIES, 'maxEntries');
    this.maxBytes = wholeNumber(options.maxBytes ?? DEFAULT_MAX_BYTES, Number.MAX_SAFE_INTEGER, 'maxBytes');
  }

  override get(key: string): Stored | undefined {
    return this.space?.entries.get(key);
  }

  override getMany(keys: readonly string[]): (Stored | undefined)[] {
    return keys.map((key) => this.space?.entries.get(key));
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): Stored {
    const entry = new MemoryEntry(key, ownBytes(bytes), ++this.writes);
    if (entry.sizeInBytes > this.maxBytes) {
      throw new EntryTooLargeError(key, entry.sizeInBytes, this.maxBytes, 'InMemoryBackend (maxBytes)');
    }
    this.space ??= this.createSpace();
    this.space.entries.set(key, entry);
    this.space.expiry.add(entry, ttlMs);
    return entry;
  }

  override replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Stored | undefined {
    if (this.space?.entries.peek(key)?.version !== seen) return undefined;
    return this.set(key, bytes, ttlMs);
  }

  override delete(keys: readonly string[]): void {
    for (const key of keys) this.space?.entries.delete(key);
  }

  override clear(): void {
    if (this.space !== undefined && this.space.entries.size < FEW_ENTRIES) return this.space.entries.clear();
    this.forgetSpace();
  }

  override watchEvictions(listener: (key: string) => void): void {
    this.evictionListeners.add(listener);
  }

  override async open(): Promise<void> {}

  /** Forgets all entries, as a process that ends does. */
  override async close(): Promise<void> {
    this.forgetSpace();
  }

  /** Takes no time, while to remove a million entries one by one takes nearly half a second. */
  private forgetSpace(): void {
    this.space?.expiry.stop();
    this.space = undefined;
  }

  private createSpace(): Space {
    const expiry = new ExpiryQueue<MemoryEntry>((entry) => entries.delete(entry.key));
    const entries = new LRUCache<string, MemoryEntry>({
      max: this.maxEntries,
      maxSize: this.maxBytes,
      sizeCalculation: ({ sizeInBytes }) => sizeInBytes,
      dispose: (entry, key, reason) => {
        expiry.remove(entry);
        if (reason !== 'evict') return;
        for (const listener of this.evictionListeners) listener(key);
      },
    });
    return { entries, expiry };
  }
}

interface Space {
  readonly entries: LRUCache<string, MemoryEntry>;
  readonly expiry: ExpiryQueue<MemoryEntry>;
}

class MemoryEntry implements Stored, Expiring {
  previous: Expiring | undefined = undefined;
  next: Expiring | undefined = undefined;
  expiresAtSecond = 0;

  constructor(
    readonly key: string,
    readonly bytes: Uint8Array,
    private readonly write: number,
  ) {}

  /** Made when it is asked for, which only a write does: a string for each entry would cost more than its number. */
  get version(): string {
    return String(this.write);
  }

  get sizeInBytes(): number {
    return this.bytes.byteLength + this.key.length * BYTES_PER_CHARACTER + BOOKKEEPING_BYTES;
  }
}

/**
 * Small Buffers are slices of Node's 8 KiB pool: one that stays would keep its whole pool alive. So what is not
 * most of its memory is copied.
 */
function ownBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength <= bytes.byteLength * 2) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

function wholeNumber(value: number, most: number, name: string): number {
  if (Number.isSafeInteger(value) && value > 0 && value <= most) return value;
  throw new CachekitConfigError(
    `InMemoryBackend: ${name} must be a whole number from 1 to ${most}, not ${String(value)}.`,
  );
}
