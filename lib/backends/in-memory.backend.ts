import { inspect } from 'node:util';
import { CachekitConfigError, EntryTooLargeError } from '../core/errors.js';
import { checkOptionNames } from '../core/option-names.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import { BoundedEntries, type Bounds } from './in-memory/bounded-entries.js';
import { MemoryEntry } from './in-memory/memory-entry.js';
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
/** A Map of V8 holds 2^24 (16.7 million), and nothing keeps all keys from falling into one of those there are. */
const MOST_ENTRIES = 16_000_000;
const DEFAULT_MAX_BYTES = 128 * 1024 * 1024;

/**
 * Entries in the memory of this process, bounded in number and bytes; the least recently used one goes first.
 * Answers synchronously. Expired entries leave by themselves within a second or two, a few at a time; its timer
 * does not keep the process alive.
 */
export class InMemoryBackend extends CacheBackend {
  private readonly bounds: Bounds;
  private entries: BoundedEntries;
  private writes = 0;
  private readonly evictionListeners = new Set<(key: string) => void>();

  /** @throws CachekitConfigError for an option out of range */
  constructor(options: InMemoryBackendOptions = {}) {
    super();
    checkOptionNames(options, OPTIONS, 'InMemoryBackend');
    checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'InMemoryBackend');
    this.bounds = {
      maxEntries: wholeNumber(options.maxEntries ?? DEFAULT_MAX_ENTRIES, MOST_ENTRIES, 'maxEntries'),
      maxBytes: wholeNumber(options.maxBytes ?? DEFAULT_MAX_BYTES, Number.MAX_SAFE_INTEGER, 'maxBytes'),
    };
    this.entries = this.noEntries();
  }

  override get(key: string): Stored | undefined {
    return this.entries.get(key);
  }

  override getMany(keys: readonly string[]): (Stored | undefined)[] {
    return keys.map((key) => this.entries.get(key));
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): Stored {
    return this.put(new MemoryEntry(key, bytes, ++this.writes), this.entries.peek(key), ttlMs);
  }

  override replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Stored | undefined {
    const previous = this.entries.peek(key);
    if (previous?.version !== seen) return undefined;
    return this.put(new MemoryEntry(key, bytes, ++this.writes), previous, ttlMs);
  }

  override delete(keys: readonly string[]): void {
    for (const key of keys) this.entries.delete(key);
  }

  /** Takes no time, while to remove a million entries one by one takes more than a second. */
  override clear(): void {
    this.entries.stop();
    this.entries = this.noEntries();
  }

  override watchEvictions(listener: (key: string) => void): void {
    this.evictionListeners.add(listener);
  }

  override async open(): Promise<void> {}

  /** Forgets all entries, as a process that ends does. */
  override async close(): Promise<void> {
    this.clear();
  }

  private put(entry: MemoryEntry, previous: MemoryEntry | undefined, ttlMs: number): Stored {
    const { maxBytes } = this.bounds;
    if (entry.sizeInBytes > maxBytes) {
      throw new EntryTooLargeError(entry.key, entry.sizeInBytes, maxBytes, 'InMemoryBackend (maxBytes)');
    }
    this.entries.put(entry, previous, ttlMs);
    return entry;
  }

  private noEntries(): BoundedEntries {
    return new BoundedEntries(this.bounds, (key) => {
      for (const listener of this.evictionListeners) listener(key);
    });
  }
}

function wholeNumber(value: number, most: number, name: string): number {
  if (Number.isSafeInteger(value) && value > 0 && value <= most) return value;
  throw new CachekitConfigError(
    `InMemoryBackend: ${name} must be a whole number from 1 to ${most}, not ${inspect(value, { depth: -1 })}.`,
  );
}
