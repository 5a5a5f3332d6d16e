import { encodeEntry, type Entry, type NewHeader } from './entry.js';
import {
  type EntryKey,
  lockKey,
  namespacedKey,
  namespacedLockKey,
  namespaceTagKey,
  valueKey,
} from './entry-key.js';
import { types } from 'node:util';
import type { Awaitable } from '../backends/cache-backend.js';
import type { CacheEngine } from './cache-engine.js';
import type { Fetched, FetchOptions } from './fetcher.js';
import type { Load } from './load-timeout.js';
import { checkName } from './names.js';
import { checkOptionNames } from './option-names.js';
import type { TtlMs } from './loader.js';
import { checkKind, loadTimeoutInMs, staleInMs } from './options.js';
import { markersOf } from './tag-markers.js';
import { toMilliseconds, type Ttl } from './ttl.js';

/** What can be said of one entry that is written. */
export interface SetOptions {
  /** Default: the cache's `ttl`. `0` stores nothing, and removes what was there. */
  readonly ttl?: Ttl;
  /**
   * At most 64. Default: none. An entry with tags, or in a namespace, may be gone after 15 days without
   * anything being written or loaded with these tags, even with a longer ttl: so long they are remembered at least.
   */
  readonly tags?: readonly string[];
}

/** What can be said of one entry that is loaded when it is missing. */
export interface GetOrSetOptions<T = unknown> extends Pick<SetOptions, 'tags'> {
  /** A function is given the value that was loaded. Default: the cache's `ttl`. `0` stores nothing. */
  readonly ttl?: Ttl | ((value: T) => Ttl);
  /** Default: the cache's `loadTimeout`. */
  readonly loadTimeout?: Ttl;
  /**
   * For how long after its ttl the value is answered at once, while one load in the background makes it new.
   * Default: the cache's `staleWhileRevalidate`.
   */
  readonly staleWhileRevalidate?: Ttl;
  /**
   * For how long after its ttl the value is answered in place of an error of its load, which is then not tried again
   * for a second, after more failures for up to 30. Default: the cache's `staleIfError`.
   */
  readonly staleIfError?: Ttl;
  /**
   * Whether only one of all processes that share the backend loads this key at a time. The others wait for it, or
   * answer stale; of one that died they learn within about 5 seconds. After `loadTimeout` they load by themselves.
   * Default: false, which is one load in each process.
   */
  readonly lock?: boolean;
}

/** What can be said of a lock. */
export interface LockOptions {
  /** How long to wait while others hold it. Default: 10 seconds. */
  readonly wait?: Ttl;
}

/** So many entries of `setMany` are written at once: their answers come in well before the deadline of the first. */
const WRITES_AT_ONCE = 100;

/** An app that makes its ttls up must not fill the memory with them. */
const MOST_TTLS = 100;

const DEFAULT_LOCK_WAIT = '10s';
/** Renewed three times in its life, over a network. */
const SHORTEST_LOCK_MS = 100;
/** A timer of Node takes at most 2^31 - 1 ms (24.8 days), and fires at once for more. */
const LONGEST_LOCK_MS = 86_400_000;

/** What `getOrSet` says of how a value is fetched. */
type Fetching<T> = Pick<
  FetchOptions<T>,
  'ttlMs' | 'markers' | 'loadTimeoutMs' | 'staleWhileRevalidateMs' | 'staleIfErrorMs' | 'lock'
>;

/**
 * The operations on a cache, or on a namespace of it. A key is any string. Absent is `undefined`; `null` is a value.
 *
 * Reads never reject because of the backend: they are misses then, and events. Writes do: with a `CachekitError`
 * that has the client's error as `cause`.
 */
export class CacheNamespace {
  /** @internal */
  readonly engine: CacheEngine;
  /** The names from the outermost namespace to this one, joined by slashes; empty for the whole cache. */
  readonly #path: string;
  /** One marker for each of these namespaces: every entry carries them all. */
  readonly #markers: readonly EntryKey[];
  /** What `getOrSet` makes of a ttl: an app has a few, and gives one of them with each call. */
  readonly #fetchingByTtl = new Map<Ttl | undefined, Fetching<unknown>>();

  /** @internal */
  constructor(engine: CacheEngine, path: string, markers: readonly EntryKey[]) {
    this.engine = engine;
    this.#path = path;
    this.#markers = markers;
  }

  /** The fresh value under `key`, a copy of its own for each caller; `undefined` if there is none. */
  get<T = unknown>(key: string): Promise<T | undefined> {
    try {
      return Promise.resolve(
        this.engine.get(this.#key(key, 'get'), this.#markers) as Awaitable<T | undefined>,
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The fresh values under `keys`, in their order, `undefined` for each that is missing. */
  async getMany<T = unknown>(keys: readonly string[]): Promise<(T | undefined)[]> {
    return (await this.engine.getMany(this.#keys(keys, 'getMany'), this.#markers)) as (T | undefined)[];
  }

  /**
   * Stores a value. `undefined` is not a value.
   *
   * @param options a ttl, or ttl and tags. Default: the cache's ttl, no tags
   * @throws RangeError for a wrong ttl, TypeError for a wrong key or tag
   * @throws UnserializableValueError, EntryTooLargeError: nothing was stored, what was there before is kept
   * @throws BackendUnavailableError if the backend failed; the write may still have taken effect after a timeout
   */
  async set(key: string, value: unknown, options: Ttl | SetOptions = {}): Promise<void> {
    const { ttlMs, markers } = this.#writing(options, 'set');
    refuseUndefined(value, 'set', key);
    await this.engine.set(this.#key(key, 'set'), value, ttlMs, markers);
  }

  /**
   * Stores many values with the same ttl and tags; not in one step: after an error, some may be stored.
   *
   * @param entries pairs of key and value: an array, a `Map`, `Object.entries(...)`
   * @throws what `set` throws
   */
  async setMany(
    entries: Iterable<readonly [key: string, value: unknown]>,
    options: Ttl | SetOptions = {},
  ): Promise<void> {
    const { ttlMs, markers } = this.#writing(options, 'setMany');
    if (typeof entries?.[Symbol.iterator] !== 'function') throw new TypeError(SET_MANY_TAKES_PAIRS);
    const all = Array.from(entries, (pair) => {
      if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError(SET_MANY_TAKES_PAIRS);
      const [key, value] = pair as readonly [string, unknown];
      refuseUndefined(value, 'setMany', key);
      return [this.#key(key, 'setMany'), value] as const;
    });
    for (let from = 0; from < all.length; from += WRITES_AT_ONCE) {
      const some = all.slice(from, from + WRITES_AT_ONCE);
      await Promise.all(some.map(([key, value]) => this.engine.set(key, value, ttlMs, markers)));
    }
  }

  /** Whether there is a fresh value under `key`. */
  async has(key: string): Promise<boolean> {
    return (await this.engine.freshUntil(this.#key(key, 'has'), this.#markers)) !== undefined;
  }

  /**
   * Removes one key, or many. A load of it that is running is not stored any more, in whatever process it runs.
   *
   * @throws BackendUnavailableError if the backend failed
   */
  async delete(keys: string | readonly string[]): Promise<void> {
    await this.engine.delete(this.#keys(typeof keys === 'string' ? [keys] : keys, 'delete'));
  }

  /**
   * The fresh value under `key`; if there is none, the value that `load` makes, which is then stored. Concurrent
   * callers share one load. Every caller gets a copy of its own, on a miss as on a hit. `undefined` is not stored.
   *
   * @param load is given a signal that aborts when `loadTimeout` is over
   * @param options a ttl, or options. Default: the cache's ttl, loadTimeout and stale windows, no tags, no lock
   * @throws what `load` throws, unchanged, to all that wait for it, unless a stale value stands in; nothing is stored
   * @throws LoadTimeoutError if it takes longer than `loadTimeout`
   * @throws UnserializableValueError if what it answers can't be stored
   * @throws RangeError for a wrong ttl, TypeError for a wrong key or tag
   */
  // Not async, and neither is `get`: a hit in memory is here at once, and then a promise that is made by hand costs less.
  getOrSet<T>(key: string, load: Load<T>, options?: Ttl | GetOrSetOptions<T>): Promise<T> {
    try {
      if (typeof load !== 'function') throw new TypeError('CacheService.getOrSet: load must be a function.');
      const fetched = this.engine.fetch<T>(this.#key(key, 'getOrSet'), load, this.#fetching(options));
      return types.isPromise(fetched) ? fetched.then(valueOf) : Promise.resolve(fetched.value);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Makes every entry that carries one of these tags unusable, in the whole cache (tags don't belong to a namespace).
   * One write a tag, however many entries carry it.
   *
   * @param tags one by one, at most 64; an array is spread: `invalidateTags(...tags)`
   * @throws TypeError, RangeError for wrong tags
   * @throws BackendUnavailableError if the backend failed
   */
  async invalidateTags(...tags: readonly string[]): Promise<void> {
    if (tags.some((tag) => Array.isArray(tag))) {
      throw new TypeError(
        'CacheService.invalidateTags: give the tags one by one, not in an array: invalidateTags(...tags).',
      );
    }
    await this.engine.invalidateTags(tags, 'CacheService.invalidateTags');
  }

  /**
   * Empties it: for a namespace one invalidation, for the whole cache the removal of all its entries from the
   * backend. Other namespaces of the backend's server are spared.
   *
   * @throws BackendUnavailableError if the backend failed
   */
  async clear(): Promise<void> {
    const own = this.#markers.at(-1);
    await (own === undefined ? this.engine.clear() : this.engine.clearNamespace(this.#path, own));
  }

  /** How long the value under `key` stays fresh, in seconds; `Infinity` for ever, `undefined` if there is none. */
  async ttl(key: string): Promise<number | undefined> {
    const freshUntilMs = await this.engine.freshUntil(this.#key(key, 'ttl'), this.#markers);
    if (freshUntilMs === undefined) return undefined;
    const leftMs = freshUntilMs - Date.now();
    // It may have ended since it was read.
    return leftMs > 0 ? leftMs / 1_000 : undefined;
  }

  /**
   * Gives a fresh value a new ttl, from now on; `0` removes it.
   *
   * @returns whether there was a fresh value
   * @throws RangeError for a wrong ttl
   * @throws BackendUnavailableError if the backend failed
   */
  async touch(key: string, ttl: Ttl): Promise<boolean> {
    const ttlMs = toMilliseconds(ttl, 'CacheService.touch');
    const entryKey = this.#key(key, 'touch');
    if (ttlMs > 0) {
      return this.engine.change(
        entryKey,
        this.#markers,
        (entry) => entry && this.#rewrite(entry, Date.now() + ttlMs),
      );
    }
    const found = await this.has(key);
    await this.engine.delete([entryKey]);
    return found;
  }

  /**
   * Adds to a number in one step; several processes may do so at once. A missing number is 0.
   *
   * @param by default: 1
   * @param options ttl and tags of a number that was missing; one that is there keeps its remaining ttl and its tags
   * @returns the new number
   * @throws TypeError if the value under `key` is not a number, or `by` is not a finite one
   * @throws UnknownOutcomeError if the backend did not answer in time: it may have been added
   * @throws BackendUnavailableError if the backend failed otherwise
   */
  async increment(key: string, by = 1, options: Ttl | SetOptions = {}): Promise<number> {
    if (!Number.isFinite(by))
      throw new TypeError(`CacheService.increment: by must be a finite number, not ${String(by)}.`);
    const { ttlMs, markers } = this.#writing(options, 'increment');
    const tags = await this.engine.versionsOf(markers);
    let sum = by;
    await this.engine.change(this.#key(key, 'increment'), this.#markers, (entry) => {
      if (entry !== undefined) {
        sum = this.#number(key, entry) + by;
        return this.#write(sum, entry);
      }
      sum = by;
      if (ttlMs === 0) return undefined;
      const nowMs = Date.now();
      return this.#write(sum, { kind: 'value', storedAtMs: nowMs, freshUntilMs: nowMs + ttlMs, tags });
    });
    return sum;
  }

  /**
   * A view of this cache in which every key has a place of its own, and which can be cleared at the cost of one
   * write. A namespace in a namespace is cleared with it.
   *
   * @param name 1 to 64 of the characters A-Z a-z 0-9 _ . -
   * @throws CachekitConfigError for another name
   */
  namespace(name: string): CacheNamespace {
    checkName(name, 'CacheService.namespace: the name');
    const path = this.#path === '' ? name : `${this.#path}/${name}`;
    return new CacheNamespace(this.engine, path, [...this.#markers, namespaceTagKey(path)]);
  }

  /**
   * Runs `work` while nobody else holds the lock `key`, in any process that shares the backend. (A lock is not an
   * entry: it has names of its own.)
   *
   * The lock is renewed while the work runs. It can be lost all the same: to a `clear`, to a backend that is away, to a
   * process that stood still for the whole ttl. So what must never happen twice needs a guard of its own where it
   * takes effect.
   *
   * @param ttl how long the lock outlives a holder that died: 0.1 seconds to 24 hours
   * @param work is given a signal that aborts when the lock is lost
   * @returns what `work` answers
   * @throws LockNotAcquiredError if others held it for the whole time `wait`
   * @throws BackendUnavailableError if the backend failed; else what `work` throws
   */
  async lock<T>(
    key: string,
    ttl: Ttl,
    work: (signal: AbortSignal) => Awaitable<T>,
    options: LockOptions = {},
  ): Promise<T> {
    checkOptionNames(options, ['wait'], 'CacheService.lock');
    if (typeof work !== 'function') throw new TypeError('CacheService.lock: work must be a function.');
    const leaseMs = toMilliseconds(ttl, 'CacheService.lock');
    if (leaseMs < SHORTEST_LOCK_MS || leaseMs > LONGEST_LOCK_MS) {
      throw new RangeError(
        `CacheService.lock: ttl ${ttl} is out of range. A lock lives from 100 ms to 24 hours.`,
      );
    }
    const waitMs = toMilliseconds(options.wait ?? DEFAULT_LOCK_WAIT, 'CacheService.lock, wait');
    // Checked like the key of an entry.
    this.#key(key, 'lock');
    const lock = this.#path === '' ? lockKey(key) : namespacedLockKey(this.#path, key);
    return this.engine.locks.run({ key: lock, leaseMs, waitMs }, work);
  }

  /** The same entry with another end. */
  #rewrite(entry: Entry, freshUntilMs: number): { bytes: Uint8Array; ttlMs: number } {
    const bytes = encodeEntry({ ...entry, freshUntilMs }, entry.payload);
    return { bytes, ttlMs: this.#keptMs(freshUntilMs) };
  }

  #write(
    value: number,
    { kind, storedAtMs, freshUntilMs, tags }: Omit<NewHeader, 'codec'>,
  ): { bytes: Uint8Array; ttlMs: number } {
    const header = { kind, storedAtMs, freshUntilMs, tags };
    const bytes = this.engine.values.encode(this.engine.values.serialize(value), header);
    return { bytes, ttlMs: this.#keptMs(freshUntilMs) };
  }

  #keptMs(freshUntilMs: number): number {
    return Math.max(1, freshUntilMs + this.engine.lifeAfterTtlMs - Date.now());
  }

  #number(key: string, entry: Entry): number {
    const value = this.engine.values.decode(entry);
    if (typeof value === 'number') return value;
    throw new TypeError(
      `CacheService.increment: the value under "${key}" is a ${typeof value}, not a number.`,
    );
  }

  #key(key: string, method: string): EntryKey {
    if (typeof key !== 'string') {
      throw new TypeError(
        `CacheService.${method}: a key is a string, not ${key === null ? 'null' : typeof key}.`,
      );
    }
    return this.#path === '' ? valueKey(key) : namespacedKey(this.#path, key);
  }

  #keys(keys: readonly string[], method: string): EntryKey[] {
    if (!Array.isArray(keys))
      throw new TypeError(`CacheService.${method}: keys must be an array of strings.`);
    // `Array.from` also visits the holes.
    return Array.from(keys, (key: string) => this.#key(key, method));
  }

  #writing(options: Ttl | SetOptions, method: string): { ttlMs: number; markers: readonly EntryKey[] } {
    const { ttl, tags } = asOptions<SetOptions>(options, SET_OPTIONS, method);
    return { ttlMs: this.#ttlMs(ttl, method), markers: this.#markersWith(tags, method) };
  }

  #fetching<T>(options: Ttl | GetOrSetOptions<T> | undefined): Fetching<T> {
    if (typeof options === 'object' || typeof options === 'function') {
      return this.#fetchingWith(asOptions<GetOrSetOptions<T>>(options, GET_OR_SET_OPTIONS, 'getOrSet'));
    }
    const known = this.#fetchingByTtl.get(options);
    if (known !== undefined) return known;
    const fetching = this.#fetchingWith<unknown>(options === undefined ? {} : { ttl: options });
    if (this.#fetchingByTtl.size < MOST_TTLS) this.#fetchingByTtl.set(options, fetching);
    return fetching;
  }

  /** Runs on every hit with options, so it makes no object but the one it answers. */
  #fetchingWith<T>(given: GetOrSetOptions<T>): Fetching<T> {
    const defaults = this.engine.options;
    const { ttl, tags, loadTimeout, staleWhileRevalidate, staleIfError, lock = false } = given;
    return {
      ttlMs: typeof ttl === 'function' ? ttlOfValue(ttl) : this.#ttlMs(ttl, 'getOrSet'),
      markers: this.#markersWith(tags, 'getOrSet'),
      loadTimeoutMs:
        loadTimeout === undefined ? defaults.loadTimeoutMs : loadTimeoutInMs(loadTimeout, GET_OR_SET),
      staleWhileRevalidateMs:
        staleWhileRevalidate === undefined
          ? defaults.staleWhileRevalidateMs
          : staleInMs(given, 'staleWhileRevalidate', GET_OR_SET),
      staleIfErrorMs:
        staleIfError === undefined ? defaults.staleIfErrorMs : staleInMs(given, 'staleIfError', GET_OR_SET),
      lock: lock === false ? lock : checkKind(lock, 'boolean', 'lock', GET_OR_SET),
    };
  }

  #ttlMs(ttl: Ttl | undefined, method: string): number {
    return ttl === undefined ? this.engine.options.ttlMs : toMilliseconds(ttl, `CacheService.${method}`);
  }

  /** The markers of these tags and of the namespaces that this is. */
  #markersWith(tags: readonly string[] | undefined, method: string): readonly EntryKey[] {
    if (tags === undefined) return this.#markers;
    return [...markersOf(tags, `CacheService.${method}`), ...this.#markers];
  }
}

const SET_MANY_TAKES_PAIRS =
  'CacheService.setMany: entries must be pairs of key and value: an array of them, a Map, or Object.entries(...).';

const GET_OR_SET = 'CacheService.getOrSet';

function valueOf<T>({ value }: Fetched<T>): T {
  return value;
}

function ttlOfValue<T>(ttl: (value: T) => Ttl): TtlMs<T> {
  return (value) => toMilliseconds(ttl(value), `${GET_OR_SET}, ttl of the value`);
}

const SET_OPTIONS: readonly string[] = ['ttl', 'tags'] satisfies (keyof SetOptions)[];

const GET_OR_SET_OPTIONS = [
  'ttl',
  'tags',
  'loadTimeout',
  'staleWhileRevalidate',
  'staleIfError',
  'lock',
] satisfies (keyof GetOrSetOptions)[];

/** @throws CachekitConfigError for an option that does not exist */
function asOptions<O extends object>(options: Ttl | O, names: readonly string[], method: string): O {
  if (typeof options !== 'object' || options === null) return { ttl: options } as O;
  // By hand, not by `checkOptionNames`: this runs on every hit.
  for (const name in options) {
    if (!names.includes(name)) checkOptionNames(options, names, `CacheService.${method}`);
  }
  return options;
}

function refuseUndefined(value: unknown, method: string, key: string): void {
  if (value !== undefined) return;
  throw new TypeError(
    `CacheService.${method}("${key}"): undefined means "absent" and can't be stored. Use null, or delete the key.`,
  );
}
