import { encodeValue, type Entry } from './entry.js';
import { type EntryKey, namespacedKey, namespaceTagKey, valueKey } from './entry-key.js';
import type { CacheEngine } from './cache-engine.js';
import type { FetchOptions } from './fetcher.js';
import type { Load } from './load-timeout.js';
import { checkName } from './names.js';
import { checkOptionNames } from './option-names.js';
import { loadTimeoutInMs } from './options.js';
import type { SerializedValue } from './serializer.js';
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
export interface GetOrSetOptions extends SetOptions {
  /** Default: the cache's `loadTimeout`. */
  readonly loadTimeout?: Ttl;
}

/** So many entries of `setMany` are written at once: their answers come in well before the deadline of the first. */
const WRITES_AT_ONCE = 100;

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

  /** @internal */
  constructor(engine: CacheEngine, path: string, markers: readonly EntryKey[]) {
    this.engine = engine;
    this.#path = path;
    this.#markers = markers;
  }

  /** The fresh value under `key`, a copy of its own for each caller; `undefined` if there is none. */
  async get<T = unknown>(key: string): Promise<T | undefined> {
    return (await this.engine.get(this.#key(key, 'get'), this.#markers)) as T | undefined;
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
   * @param options a ttl, or ttl, tags and loadTimeout. Default: the cache's ttl and loadTimeout, no tags
   * @throws what `load` throws, unchanged, to all that wait for it; nothing is stored
   * @throws LoadTimeoutError if it takes longer than `loadTimeout`
   * @throws UnserializableValueError if what it answers can't be stored
   * @throws RangeError for a wrong ttl, TypeError for a wrong key or tag
   */
  async getOrSet<T>(key: string, load: Load<T>, options: Ttl | GetOrSetOptions = {}): Promise<T> {
    if (typeof load !== 'function') throw new TypeError('CacheService.getOrSet: load must be a function.');
    const fetched = await this.engine.fetch<T>(this.#key(key, 'getOrSet'), load, this.#fetching(options));
    return fetched.value;
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
    return freshUntilMs === undefined ? undefined : (freshUntilMs - Date.now()) / 1_000;
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
        (entry) => entry && rewrite(entry, Date.now() + ttlMs),
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
        return rewrite(entry, entry.freshUntilMs, this.engine.values.serialize(sum));
      }
      sum = by;
      if (ttlMs === 0) return undefined;
      const nowMs = Date.now();
      const header = { kind: 'value' as const, storedAtMs: nowMs, freshUntilMs: nowMs + ttlMs, tags };
      return { bytes: encodeValue(this.engine.values.serialize(sum), header), ttlMs };
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
    const { ttl, tags } = asOptions(options, method);
    return { ttlMs: this.#ttlMs(ttl, method), markers: this.#markersWith(tags, method) };
  }

  /** Runs on every hit, so it makes no object but the one it answers. */
  #fetching<T>(options: Ttl | GetOrSetOptions): FetchOptions<T> {
    const { ttl, tags, loadTimeout } = asOptions<GetOrSetOptions>(options, 'getOrSet');
    const loadTimeoutMs =
      loadTimeout === undefined
        ? this.engine.options.loadTimeoutMs
        : loadTimeoutInMs(loadTimeout, 'CacheService.getOrSet');
    return {
      ttlMs: this.#ttlMs(ttl, 'getOrSet'),
      markers: this.#markersWith(tags, 'getOrSet'),
      loadTimeoutMs,
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

const OPTIONS = new Set<string>(['ttl', 'tags', 'loadTimeout'] satisfies (keyof GetOrSetOptions)[]);

/** @throws CachekitConfigError for an option that does not exist */
function asOptions<O extends SetOptions>(options: Ttl | O, method: string): O {
  if (typeof options !== 'object' || options === null) return { ttl: options } as O;
  // By hand, not by `checkOptionNames`: this runs on every hit.
  for (const name in options) {
    if (!OPTIONS.has(name)) checkOptionNames(options, [...OPTIONS], `CacheService.${method}`);
  }
  return options;
}

function refuseUndefined(value: unknown, method: string, key: string): void {
  if (value !== undefined) return;
  throw new TypeError(
    `CacheService.${method}("${key}"): undefined means "absent" and can't be stored. Use null, or delete the key.`,
  );
}

/** The same entry with another end, or another payload too. */
function rewrite(
  entry: Entry,
  freshUntilMs: number,
  value: SerializedValue = entry,
): { bytes: Uint8Array; ttlMs: number } {
  const bytes = encodeValue(value, { ...entry, freshUntilMs });
  return { bytes, ttlMs: Math.max(1, freshUntilMs - Date.now()) };
}
