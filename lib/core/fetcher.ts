import type { Awaitable } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Absent, EntryReader, Failed, Fresh, Reading } from './entry-reader.js';
import type { EntryValues } from './entry-values.js';
import type { CacheEventListener } from './events.js';
import { type Load, waitWithTimeout } from './load-timeout.js';
import type { Admission, Loaded, Loader, LoadRequest } from './loader.js';
import type { Flight, Sight, SingleFlight } from './single-flight.js';
import type { TagMarkers } from './tag-markers.js';

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

/** Answers from the store, or by a load that all who ask at the same time share. */
export class Fetcher {
  constructor(
    private readonly reader: EntryReader,
    private readonly values: EntryValues,
    private readonly loader: Loader,
    private readonly tags: TagMarkers,
    private readonly flights: SingleFlight<Loaded<unknown>>,
    private readonly report: CacheEventListener,
  ) {}

  /** Rejects only with what the load throws, or a `LoadTimeoutError`; never because of the backend. */
  fetch<T>(key: EntryKey, load: Load<T>, options: FetchOptions<T>): Awaitable<Fetched<T>> {
    const askedAt = this.flights.now();
    if (options.ttlMs === 0) return this.loadAlone(requestOf(key, load, options));
    return andThen(this.reader.read(key, options.markers), (reading) => {
      const hit = reading.state === 'fresh' ? this.hit<T>(key, reading) : undefined;
      if (hit !== undefined) return hit;
      return this.joinOrLoad(requestOf(key, load, options), absentOf(reading), askedAt, SECOND_FLIGHTS);
    });
  }

  private hit<T>(key: EntryKey, reading: Fresh): Fetched<T> | undefined {
    const found = this.values.read(key, reading);
    if (found === undefined) return undefined;
    this.report({ type: 'hit', key: readable(key) });
    const ttlMs = reading.entry.freshUntilMs - Date.now();
    return { value: found.value as T, hit: true, stored: false, collapsed: false, ttlMs };
  }

  private async joinOrLoad<T>(
    request: LoadRequest<T>,
    seen: Absent | Failed,
    askedAt: number,
    flightsLeft: number,
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
      return shared ?? this.fetchAgain(request, flightsLeft);
    }
    this.report({ type: 'miss', key: readable(key) });
    const flight = flights.start(key, markers, sight, (self) => this.loader.run(request, seen, self));
    const loaded = await flight.result;
    if (loaded.outcome === 'own') return { ...NOT_CACHED, value: loaded.value };
    return this.deliver(key, loaded, { collapsed: false }) ?? this.loadAlone(request);
  }

  /**
   * What the load brought belongs to the caller whose load it was. Those who waited share another one, since not every
   * load of the key need be so; if that one is too, each goes its own way.
   */
  private async fetchAgain<T>(request: LoadRequest<T>, flightsLeft: number): Promise<Fetched<T>> {
    if (flightsLeft === 0) return this.loadAlone(request);
    const askedAt = this.flights.now();
    const reading = await this.reader.read(request.key, request.markers);
    const hit = reading.state === 'fresh' ? this.hit<T>(request.key, reading) : undefined;
    return hit ?? this.joinOrLoad(request, absentOf(reading), askedAt, flightsLeft - 1);
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
      const hit = this.hit<T>(key, loaded.reading);
      return hit && { ...hit, collapsed };
    }
    const value = this.values.readBack(key, loaded.value) as T;
    const ttlMs = loaded.stored ? loaded.freshUntilMs - Date.now() : 0;
    return { value, hit: false, stored: loaded.stored, collapsed, ttlMs };
  }
}

/** How many more loads a caller waits for after one whose value could not be shared. */
const SECOND_FLIGHTS = 1;

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
