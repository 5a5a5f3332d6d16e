import { types } from 'node:util';
import type { Awaitable, CacheBackend, Stored } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import { encodeEntry, type Entry } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import { type Absent, EntryReader, type Failed, type Fresh, type Reading } from './entry-reader.js';
import {
  BackendTimeoutError,
  BackendUnavailableError,
  excerpt,
  messageOf,
  UnknownOutcomeError,
  UnserializableValueError,
} from './errors.js';
import type { CacheEvent } from './events.js';
import { KeyQueue } from './key-queue.js';
import { type Load, waitWithTimeout } from './load-timeout.js';
import { type Admission, type Loaded, Loader, type LoadRequest } from './loader.js';
import type { ResolvedCacheOptions } from './options.js';
import { serialize, type SerializedValue } from './serializer.js';
import { freezeJson, shareFrozen } from './shared-value.js';
import { type Flight, type Sight, SingleFlight } from './single-flight.js';
import { Store } from './store.js';
import { markersOf, TagMarkers } from './tag-markers.js';
import { warnOnce } from './warn-once.js';

/** How a value is fetched. */
export interface FetchOptions<T> {
  /** How long it stays fresh, counted from the start of its load. `0`: the cache is neither read nor written. */
  readonly ttlMs: number;
  readonly loadTimeoutMs: number;
  /** The markers of its tags. */
  readonly markers: readonly EntryKey[];
  /** Default: `'value'`. */
  readonly kind?: 'value' | 'http';
  /** What becomes of what the load answered. Default: it is stored. */
  readonly admit?: (value: T) => Admission;
  /** Default: `'reject'`. */
  readonly onUnserializable?: 'reject' | 'own';
}

/** A value, and where it came from. */
export interface Fetched<T> {
  readonly value: T;
  /** Answered from the store. */
  readonly hit: boolean;
  /** The load of this value was written to the store. */
  readonly stored: boolean;
  /** Waited for the load of another caller. */
  readonly collapsed: boolean;
  /** How long it stays fresh, in milliseconds; `Infinity` for ever, `0` if it is not in the store. */
  readonly ttlMs: number;
}

/** What a read-modify-write operation makes of the entry it read. */
export type Change = (entry: Entry | undefined) => { bytes: Uint8Array; ttlMs: number } | undefined;

/** How often a read-modify-write is tried again after other processes wrote first. */
const CHANGE_ATTEMPTS = 50;

/** The meaning of every operation, composed of small parts: DESIGN's "engine". */
export class CacheEngine {
  private readonly store: Store;
  private readonly tags: TagMarkers;
  private readonly reader: EntryReader;
  private readonly loader: Loader;
  private readonly flights = new SingleFlight<Loaded<unknown>>();
  private readonly queue = new KeyQueue();

  constructor(
    backend: CacheBackend,
    readonly options: ResolvedCacheOptions,
  ) {
    const report = (event: CacheEvent): void => this.report(event);
    this.store = new Store(backend, report);
    this.tags = new TagMarkers(this.store);
    this.reader = new EntryReader(this.store, this.tags, report);
    this.loader = new Loader(this.store, this.reader, this.tags, options.serializer, report);
  }

  /** Tells the listener; one that throws does no harm to the operation it is told of. */
  report(event: CacheEvent): void {
    const complain = (error: unknown): void =>
      warnOnce('onEvent', `The onEvent listener of a cache threw: ${messageOf(error)}`);
    try {
      const told = this.options.onEvent(event);
      if (types.isPromise(told)) told.catch(complain);
    } catch (error) {
      complain(error);
    }
  }

  /** The fresh value under a key, or `undefined`. Never rejects because of the backend. */
  get(key: EntryKey, markers: readonly EntryKey[]): Awaitable<unknown> {
    return andThen(this.reader.read(key, markers), (reading) => this.valueOf(key, reading));
  }

  async getMany(keys: readonly EntryKey[], markers: readonly EntryKey[]): Promise<unknown[]> {
    if (keys.length === 0) return [];
    const readings = await this.reader.readMany(keys, markers);
    return readings.map((reading, index) => this.valueOf(keys[index] as EntryKey, reading));
  }

  /** When the fresh entry under a key ends, in milliseconds since 1970; `undefined` if there is none. */
  freshUntil(key: EntryKey, markers: readonly EntryKey[]): Awaitable<number | undefined> {
    return andThen(this.reader.read(key, markers), (reading) =>
      reading.state === 'fresh' ? reading.entry.freshUntilMs : undefined,
    );
  }

  /** Answers from the store, or joins or starts a load. Rejects only with what the load throws. */
  fetch<T>(key: EntryKey, load: Load<T>, options: FetchOptions<T>): Awaitable<Fetched<T>> {
    const askedAt = this.flights.now();
    if (options.ttlMs === 0) return this.loadAlone(requestOf(key, load, options));
    return andThen(this.reader.read(key, options.markers), (reading) => {
      const hit = reading.state === 'fresh' ? this.hitOf<T>(key, reading) : undefined;
      if (hit !== undefined) return hit;
      return this.joinOrLoad(requestOf(key, load, options), absentOf(reading), askedAt);
    });
  }

  /** @throws CachekitError if the backend fails */
  async set(key: EntryKey, value: unknown, ttlMs: number, markers: readonly EntryKey[]): Promise<void> {
    if (ttlMs === 0) return this.delete([key]);
    const { codec, payload } = this.serialize(value);
    try {
      const present = markers.length === 0 ? [] : await this.store.getMany(markers);
      const tags = await this.tags.ensure(markers, present);
      const nowMs = Date.now();
      const header = { kind: 'value' as const, codec, storedAtMs: nowMs, freshUntilMs: nowMs + ttlMs, tags };
      await this.store.set(key, encodeEntry(header, payload), ttlMs);
      this.report({ type: 'set', key: readable(key) });
    } finally {
      this.flights.detach([key]);
    }
  }

  /** @throws CachekitError if the backend fails */
  async delete(keys: readonly EntryKey[]): Promise<void> {
    if (keys.length === 0) return;
    try {
      await this.store.delete(keys);
      for (const key of keys) this.report({ type: 'delete', key: readable(key) });
    } finally {
      this.flights.detach(keys);
    }
  }

  /**
   * @param place who asks, for the message
   * @throws TypeError, RangeError for wrong tags
   * @throws CachekitError if the backend fails
   */
  invalidateTags(tags: readonly string[], place: string): Promise<void> {
    return this.invalidate(markersOf(tags, place), { type: 'invalidate', tags });
  }

  /** Makes every entry of a namespace unusable. @throws CachekitError if the backend fails */
  clearNamespace(namespace: string, marker: EntryKey): Promise<void> {
    return this.invalidate([marker], { type: 'clear', namespace });
  }

  /** Empties the whole namespace of the backend. @throws CachekitError if the backend fails */
  async clear(): Promise<void> {
    try {
      await this.store.clear();
      this.report({ type: 'clear' });
    } finally {
      this.flights.detachAll();
    }
  }

  /**
   * Writes what `change` makes of the fresh entry (or of none), if nobody else wrote in between; else tries again.
   * Answers whether it wrote: `change` may answer `undefined` to leave things as they are.
   *
   * @throws UnknownOutcomeError if the backend did not answer the write in time
   * @throws CachekitError if the backend fails otherwise
   */
  change(key: EntryKey, markers: readonly EntryKey[], change: Change): Promise<boolean> {
    return this.queue.run(key, async () => {
      for (let attempt = 0; attempt < CHANGE_ATTEMPTS; attempt++) {
        const reading = await this.reader.readOrThrow(key, markers);
        const fresh = reading.state === 'fresh';
        const next = change(fresh ? reading.entry : undefined);
        if (next === undefined) return false;
        const seen = fresh ? reading.stored.version : reading.seen;
        if (await this.replace(key, seen, next.bytes, next.ttlMs)) return true;
      }
      throw new BackendUnavailableError(
        `"${readable(key)}" was written by others ${CHANGE_ATTEMPTS} times while it was changed. Try again.`,
      );
    });
  }

  /** The present versions of markers, for an entry that is about to be made. @throws CachekitError */
  async versionsOf(markers: readonly EntryKey[]): Promise<Awaited<ReturnType<TagMarkers['ensure']>>> {
    if (markers.length === 0) return [];
    return this.tags.ensure(markers, await this.store.getMany(markers));
  }

  /** @throws UnserializableValueError, or what the app's serializer throws */
  serialize(value: unknown): SerializedValue {
    return serialize(this.options.serializer, value);
  }

  /** The value in an entry; an exception of the serializer is the caller's to handle. */
  decode(entry: Entry): unknown {
    return this.options.serializer.deserialize(entry.codec, entry.payload);
  }

  private async invalidate(markers: readonly EntryKey[], event: CacheEvent): Promise<void> {
    try {
      await this.tags.invalidate(markers);
      this.report(event);
    } finally {
      this.flights.detachTagged(markers);
    }
  }

  private async replace(
    key: EntryKey,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<boolean> {
    try {
      const written = await this.store.replace(key, seen, bytes, ttlMs);
      return written !== undefined;
    } catch (error) {
      if (!(error instanceof BackendTimeoutError)) throw error;
      throw new UnknownOutcomeError(
        `Whether "${readable(key)}" was changed is unknown: the backend did not answer in time. Read it before you try again.`,
        { cause: error },
      );
    }
  }

  private valueOf(key: EntryKey, reading: Reading): unknown {
    const hit = reading.state === 'fresh' ? this.hitOf<unknown>(key, reading) : undefined;
    if (hit === undefined) this.report({ type: 'miss', key: readable(key) });
    return hit?.value;
  }

  /** The value of a usable entry; none, with an event, if its payload can't be read. */
  private hitOf<T>(key: EntryKey, { entry, stored }: Fresh): Fetched<T> | undefined {
    try {
      const value = this.copyOf(entry, stored) as T;
      this.report({ type: 'hit', key: readable(key) });
      return { value, hit: true, stored: false, collapsed: false, ttlMs: entry.freshUntilMs - Date.now() };
    } catch (error) {
      this.reader.reportBroken(key, error);
      return undefined;
    }
  }

  private copyOf(entry: Entry, stored: Stored): unknown {
    return this.options.isolate ? this.decode(entry) : shareFrozen(stored, entry, () => this.decode(entry));
  }

  private async joinOrLoad<T>(
    request: LoadRequest<T>,
    seen: Absent | Failed,
    askedAt: number,
  ): Promise<Fetched<T>> {
    const { key, markers } = request;
    // One map for the flights of all types of values: whoever asks for a key knows what lies under it.
    const flights = this.flights as SingleFlight<Loaded<T>>;
    const sight = this.sightOf(seen, askedAt, markers);
    const running = flights.find(key, sight);
    if (running !== undefined) {
      this.report({ type: 'collapsed', key: readable(key) });
      const loaded = await waitWithTimeout(running.result, readable(key), request.options.loadTimeoutMs);
      const shared = this.deliver(key, loaded, { collapsed: true });
      return shared ?? this.loadAlone(request);
    }
    this.report({ type: 'miss', key: readable(key) });
    const flight = flights.start(key, markers, sight, (self) => this.loader.run(request, seen, self));
    const loaded = await flight.result;
    if (loaded.outcome === 'own') return { ...NOT_CACHED, value: loaded.value };
    return this.deliver(key, loaded, { collapsed: false }) ?? this.loadAlone(request);
  }

  /** Loads for this caller only, and stores nothing. */
  private async loadAlone<T>(request: LoadRequest<T>): Promise<Fetched<T>> {
    const nobodyJoins = this.flights.create(request.markers) as Flight<Loaded<T>>;
    const loaded = await this.loader.run(request, { state: 'failed' }, nobodyJoins);
    if (loaded.outcome === 'own') return { ...NOT_CACHED, value: loaded.value };
    return this.deliver(request.key, loaded, { collapsed: false }) as Fetched<T>;
  }

  private sightOf(seen: Absent | Failed, askedAt: number, markers: readonly EntryKey[]): Sight {
    if (seen.state === 'failed') return { askedAt, read: false, seen: undefined, tags: [] };
    const tags = markers.map((marker, index) => [marker, this.tags.versionIn(seen.markers[index])] as const);
    return { askedAt, read: true, seen: seen.seen, tags };
  }

  /** One caller's copy of what a flight brought; `undefined` if it can't have one and must load by itself. */
  private deliver<T>(
    key: EntryKey,
    loaded: Loaded<T>,
    { collapsed }: { collapsed: boolean },
  ): Fetched<T> | undefined {
    if (loaded.outcome === 'own') return undefined;
    if (loaded.outcome === 'absent') return { ...NOT_CACHED, value: undefined as T, collapsed };
    if (loaded.outcome === 'found') {
      const hit = this.hitOf<T>(key, loaded.reading);
      return hit && { ...hit, collapsed };
    }
    const value = this.readBack(key, loaded.value) as T;
    const ttlMs = loaded.stored ? loaded.freshUntilMs - Date.now() : 0;
    return { value, hit: false, stored: loaded.stored, collapsed, ttlMs };
  }

  private readBack(key: EntryKey, { codec, payload }: SerializedValue): unknown {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    try {
      const value = this.options.serializer.deserialize(codec, bytes);
      return this.options.isolate ? value : freezeJson(codec, value);
    } catch (cause) {
      throw new UnserializableValueError(
        `The value loaded for "${excerpt(readable(key))}" can't be read back: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}

const NOT_CACHED = { hit: false, stored: false, collapsed: false, ttlMs: 0 } as const;

function requestOf<T>(key: EntryKey, load: Load<T>, options: FetchOptions<T>): LoadRequest<T> {
  const {
    markers,
    ttlMs,
    loadTimeoutMs,
    kind = 'value',
    admit = storeAll,
    onUnserializable = 'reject',
  } = options;
  return { key, markers, load, options: { kind, ttlMs, loadTimeoutMs, admit, onUnserializable } };
}

const storeAll = (): Admission => 'store';

/** A fresh entry that could not be decoded is one to load and write over. */
function absentOf(reading: Reading): Absent | Failed {
  if (reading.state !== 'fresh') return reading;
  return { state: 'absent', seen: reading.stored.version, markers: reading.markers };
}
