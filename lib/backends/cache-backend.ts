import type { MessageBus } from './message-bus.js';

/** A value that is there now, or a promise of it. In-process backends answer at once and save the promise. */
export type Awaitable<T> = T | Promise<T>;

/** What a backend holds under one key. Immutable: nobody changes `bytes` after it was handed over. */
export interface Stored {
  readonly bytes: Uint8Array;
  /**
   * Names this very write: every `set` and every successful `replace` gives a new one, also when the bytes
   * are equal. Opaque, the backend's own; only compared for equality.
   */
  readonly version: string;
}

/** How long a server may take to answer, in milliseconds, before an operation counts as failed. */
export interface Deadlines {
  readonly readMs: number;
  readonly writeMs: number;
}

/** For a server in the same data centre, which answers within a few milliseconds. */
const NEARBY: Deadlines = { readMs: 250, writeMs: 500 };

/**
 * The contract of all backends: it moves bytes, and knows nothing of values, tags, staleness or users.
 *
 * - Any string is a legal key: empty, very long, with NUL, blanks or lone surrogates. Two different strings
 *   never name the same entry.
 * - It reports what is stored, expired or not. Whether an entry is still usable is judged once, by the layer
 *   above; the `ttlMs` given here is only when the store may drop it. A server with whole seconds rounds up.
 * - Reads see the latest write (primary, strongly consistent).
 * - A failure throws or rejects. The backend never swallows one, and never waits without end for a server
 *   that is away: the layer above decides what a failure means.
 * - `ttlMs` is above zero, `Infinity` for an entry without an end.
 *
 * It is also the provider token that resolves to the backend of the unnamed cache.
 */
export abstract class CacheBackend {
  /** A backend whose server is further away says more. Default: 250 ms to read, 500 ms to write. */
  readonly deadlines: Deadlines = NEARBY;

  /** The entry under `key`, or `undefined`. */
  abstract get(key: string): Awaitable<Stored | undefined>;

  /** The entries under `keys`, in their order; a key may be repeated. */
  abstract getMany(keys: readonly string[]): Awaitable<readonly (Stored | undefined)[]>;

  /**
   * Writes, whatever was there before.
   *
   * @throws EntryTooLargeError when the store can't hold so many bytes in one entry
   */
  abstract set(key: string, bytes: Uint8Array, ttlMs: number): Awaitable<Stored>;

  /**
   * Writes only if the entry's version is still `seen` (`undefined`: if there is still no entry), in one
   * atomic step. Answers what it wrote, or `undefined` if somebody else was first.
   *
   * @throws EntryTooLargeError when the store can't hold so many bytes in one entry
   */
  abstract replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Awaitable<Stored | undefined>;

  /** Removes the entries under `keys`. Keys without an entry are fine. */
  abstract delete(keys: readonly string[]): Awaitable<void>;

  /** Removes every entry of this backend's namespace, and nothing of anybody else's. */
  abstract clear(): Awaitable<void>;

  /**
   * Gets ready: loads the client package, connects. Resolves when the first operation will find a connection;
   * rejects when that failed now, in which case the backend goes on trying by itself. Calling it again on an
   * open backend does nothing.
   *
   * @throws MissingClientError when the client package of the backend is not installed
   */
  abstract open(): Promise<void>;

  /**
   * Lets go of everything it opened: sockets, timers, listeners. A connection that was handed in stays open.
   * Never rejects because the server is away. `open` may follow.
   */
  abstract close(): Promise<void>;

  /**
   * Tells this listener too of every entry that the backend drops by itself for want of room, with its key. Default:
   * does nothing, for a server that does not say.
   */
  watchEvictions(_listener: (key: string) => void): void {
    // Nobody would be told.
  }

  /**
   * The entries under `keys`, if this process may answer all of them without asking a server. Asked for while the
   * server is silent. Default: `undefined`, it has to ask.
   */
  peek(_keys: readonly string[]): readonly (Stored | undefined)[] | undefined {
    return undefined;
  }

  /**
   * A new bus on this backend's server, between all processes that use its namespace. Default: `undefined`, for a
   * server that passes no messages.
   */
  bus(): MessageBus | undefined {
    return undefined;
  }
}
