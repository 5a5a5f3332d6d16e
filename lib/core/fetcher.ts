import { types } from 'node:util';
import type { Awaitable } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import { BackOff } from './back-off.js';
import type { BackgroundRefreshes } from './background-refreshes.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Absent, EntryReader, Failed, Reading, Stale, Usable } from './entry-reader.js';
import type { EntryValues } from './entry-values.js';
import { LoadTimeoutError } from './errors.js';
import type { EventHub } from './event-hub.js';
import { isRefreshing } from './lease.js';
import { type Load, waitWithTimeout } from './load-timeout.js';
import type { Admission, Loaded, Loader, LoadRequest, TtlMs } from './loader.js';
import { RecentStores } from './recent-stores.js';
import type { SharingSerializer } from './serializer.js';
import type { Flight, Sight, SingleFlight } from './single-flight.js';
import type { TagMarkers } from './tag-markers.js';

/** How a value is fetched. */
export interface FetchOptions<T> {
  /** How long it stays fresh, counted from the start of its load. `0`: the cache is neither read nor written. */
  readonly ttlMs: TtlMs<T>;
  readonly loadTimeoutMs: number;
  /** For how long after its ttl a value is answered at once, while it is loaded anew. */
  readonly staleWhileRevalidateMs: number;
  /** For how long after its ttl a value is answered in place of an error of its load. */
  readonly staleIfErrorMs: number;
  /** Whether only one process loads at a time, while others wait for it. */
  readonly lock: boolean;
  /** The markers of its tags. */
  readonly markers: readonly EntryKey[];
  /** Default: `'value'`. */
  readonly kind?: 'value' | 'http';
  /** What becomes of what the load answered. Default: it is stored. */
  readonly admit?: (value: T) => Admission;
  /** Default: `'reject'`. */
  readonly onUnserializable?: 'reject' | 'own';
  /** Whether a stale value is answered in place of this error of the load. Default: of every one. */
  readonly excuses?: (error: unknown) => boolean;
  /**
   * Turns these values into payloads and back. What it reads is handed to the caller as it is, with `isolate: false`
   * too. Default: the cache's.
   */
  readonly serializer?: SharingSerializer;
  /** Loads in the background, where nobody waits for it. Default: the load itself. */
  readonly refresh?: Load<T>;
}

/** A value, and where it came from. */
export interface Fetched<T> {
  readonly value: T;
  /** Answered from the store. */
  readonly hit: boolean;
  /** A hit whose ttl is over: it is being loaded anew, or that failed. `undefined`: it is fresh. */
  readonly stale: 'revalidating' | 'error' | undefined;
  /** The load of this value was written to the store. */
  readonly stored: boolean;
  /** Waited for the load of another caller. */
  readonly collapsed: boolean;
  /** How long it stays fresh, in milliseconds; `Infinity` for ever, `0` if it is not in the store, negative if stale. */
  readonly ttlMs: number;
  /** How long ago its load began, in milliseconds, if it was answered from the store; else `0`. */
  readonly ageMs: number;
}

/** What was found that can't be answered from. */
type Seen = Stale | Absent | Failed;

/** Answers from the store, or by a load that all who ask at the same time share. */
export class Fetcher {
  private readonly backOff = new BackOff();
  private readonly stores = new RecentStores();

  constructor(
    private readonly reader: EntryReader,
    private readonly values: EntryValues,
    private readonly loader: Loader,
    private readonly tags: TagMarkers,
    private readonly flights: SingleFlight<Loaded<unknown>>,
    private readonly refreshes: BackgroundRefreshes,
    private readonly hub: EventHub,
  ) {}

  /** Rejects only with what the load throws, or a `LoadTimeoutError`; never because of the backend. */
  fetch<T>(key: EntryKey, load: Load<T>, options: FetchOptions<T>): Awaitable<Fetched<T>> {
    const askedAt = this.flights.now();
    if (options.ttlMs === 0) return this.loadAlone(requestOf(key, load, options));
    const reading = this.reader.read(key, options.markers, staleMsOf(options));
    // By hand, not by `andThen`: a hit in memory needs no callback.
    if (!types.isPromise(reading)) return this.answer(key, load, options, reading, askedAt);
    return reading.then((found) => this.answerLater(key, load, options, found, askedAt));
  }

  /** A read that took its time may say what lay there before a load of this process stored its value: it is asked again. */
  private answerLater<T>(
    key: EntryKey,
    load: Load<T>,
    options: FetchOptions<T>,
    found: Reading,
    askedAt: number,
  ): Awaitable<Fetched<T>> {
    const isOld = (found.state === 'absent' || found.state === 'stale') && this.stores.has(key, askedAt);
    if (!isOld) return this.answer(key, load, options, found, askedAt);
    const askedAgainAt = this.flights.now();
    return andThen(this.reader.read(key, options.markers, staleMsOf(options)), (reading) =>
      this.answer(key, load, options, reading, askedAgainAt),
    );
  }

  private answer<T>(
    key: EntryKey,
    load: Load<T>,
    options: FetchOptions<T>,
    reading: Reading,
    askedAt: number,
  ): Awaitable<Fetched<T>> {
    const hit = reading.state === 'fresh' ? this.hit<T>(key, reading, options.serializer) : undefined;
    if (hit !== undefined) return hit;
    const request = requestOf(key, load, options);
    if (reading.state === 'stale') return this.fetchStale(request, reading, askedAt);
    return this.joinOrLoad(request, seenOf(reading), askedAt, SECOND_FLIGHTS);
  }

  private hit<T>(
    key: EntryKey,
    reading: Usable,
    serializer: SharingSerializer | undefined,
    stale?: Fetched<T>['stale'],
  ): Fetched<T> | undefined {
    const found = this.values.read(key, reading, serializer);
    if (found === undefined) return undefined;
    this.hub.hit(key, stale !== undefined);
    return fromStore(found.value as T, reading, stale, false);
  }

  /** Answers the stale value and loads it anew: after that, or before, if it is too old to be answered just so. */
  private fetchStale<T>(request: FetchRequest<T>, reading: Stale, askedAt: number): Awaitable<Fetched<T>> {
    const { key, options } = request;
    const lateMs = Date.now() - reading.entry.freshUntilMs;
    if (lateMs < options.staleWhileRevalidateMs) {
      const stale = this.hit<T>(key, reading, options.serializer, 'revalidating');
      if (stale !== undefined) {
        this.refresh(request, reading, askedAt);
        return stale;
      }
    } else if (this.backOff.holdsBack(key)) {
      const stale = this.hit<T>(key, reading, options.serializer, 'error');
      if (stale !== undefined) return stale;
    }
    return this.loadOrExcuse(request, reading, askedAt);
  }

  /** Loads in the background, unless that is being done, failed just now, or too much of it is going on. */
  private refresh<T>(request: FetchRequest<T>, reading: Stale, askedAt: number): void {
    const { key, options } = request;
    if (!this.refreshes.admits || this.backOff.holdsBack(key)) return;
    if (options.lock && isRefreshing(reading.entry, Date.now())) return;
    const sight = this.sightOf(reading, askedAt, request.markers);
    if (this.flights.find(key, sight) !== undefined) return;
    this.hub.reportKey('refresh', key);
    const abort = new AbortController();
    const { result } = this.start({ ...request, load: request.refresh, abort }, reading, sight);
    const ended = (): void => undefined;
    this.refreshes.add(result.then(ended, ended), abort);
  }

  private async loadOrExcuse<T>(
    request: FetchRequest<T>,
    reading: Stale,
    askedAt: number,
  ): Promise<Fetched<T>> {
    try {
      return await this.joinOrLoad(request, reading, askedAt, SECOND_FLIGHTS);
    } catch (error) {
      const stale = await this.excuse(request, error);
      if (stale === undefined) throw error;
      return stale;
    }
  }

  /** The stale value in place of an error; `undefined` if it is too old by now, or was invalidated meanwhile. */
  private async excuse<T>(
    { key, markers, options }: FetchRequest<T>,
    error: unknown,
  ): Promise<Fetched<T> | undefined> {
    if (!options.excuses(error)) return undefined;
    const reading = await this.reader.read(key, markers, options.staleIfErrorMs);
    if (reading.state !== 'fresh' && reading.state !== 'stale') return undefined;
    const state = reading.state === 'stale' ? 'error' : undefined;
    return this.hit<T>(key, reading, options.serializer, state);
  }

  private joinOrLoad<T>(
    request: FetchRequest<T>,
    seen: Seen,
    askedAt: number,
    flightsLeft: number,
  ): Promise<Fetched<T>> {
    const { key, markers } = request;
    const sight = this.sightOf(seen, askedAt, markers);
    // One map for the flights of all types of values: whoever asks for a key knows what lies under it.
    const running = (this.flights as SingleFlight<Loaded<T>>).find(key, sight);
    if (running !== undefined) return this.join(request, running, flightsLeft);
    const onLoad = (): void => this.hub.reportKey('miss', key);
    const flight = this.start(request, seen, sight, onLoad);
    return flight.result.then((loaded) => this.deliverFirst(request, flight, loaded));
  }

  private async join<T>(
    request: FetchRequest<T>,
    running: Flight<Loaded<T>>,
    flightsLeft: number,
  ): Promise<Fetched<T>> {
    const { key, options } = request;
    this.hub.reportKey('collapsed', key);
    const loaded = await waitFor(running, key, options.loadTimeoutMs);
    const shared = this.deliver(request, loaded, { collapsed: true });
    return shared ?? this.fetchAgain(request, flightsLeft);
  }

  /** What the caller gets whose load it was. */
  private deliverFirst<T>(
    request: FetchRequest<T>,
    flight: Flight<Loaded<T>>,
    loaded: Loaded<T>,
  ): Awaitable<Fetched<T>> {
    if (loaded.outcome === 'own') return { ...NOT_CACHED, value: loaded.value };
    const collapsed = loaded.outcome === 'found' && flight.hasWaited;
    const fetched = this.deliver(request, loaded, { collapsed });
    if (fetched === undefined) {
      this.hub.reportKey('miss', request.key);
      return this.loadAlone(request);
    }
    if (collapsed) this.hub.reportKey('collapsed', request.key);
    else if (fetched.hit) this.hub.hit(request.key, false);
    return fetched;
  }

  /**
   * Starts a load that others may join.
   *
   * @param onLoad see `Loader.run`
   */
  private start<T>(
    request: FetchRequest<T>,
    seen: Seen,
    sight: Sight,
    onLoad?: () => void,
  ): Flight<Loaded<T>> {
    const { key, markers, options } = request;
    const flights = this.flights as SingleFlight<Loaded<T>>;
    return flights.start(key, markers, sight, (flight) => this.loader.run(request, seen, flight, onLoad), {
      succeeded: (loaded) => {
        this.backOff.worked(key);
        if (loaded.outcome === 'loaded' && loaded.stored) this.stores.add(key, this.flights.now());
      },
      failed: (error) => {
        // Where no stale value could stand in, or the error is an answer, the next caller must try again.
        if (seen.state === 'stale' && options.excuses(error)) this.refreshFailed(key, error);
        else this.backOff.worked(key);
      },
    });
  }

  /** Once for the load, however many wait for it. */
  private refreshFailed(key: EntryKey, error: unknown): void {
    this.backOff.failed(key);
    this.hub.report({ type: 'refresh-failed', key: readable(key), error });
  }

  /**
   * What the load brought belongs to the caller whose load it was. Those who waited share another one, since not every
   * load of the key need be so; if that one is too, each goes its own way.
   */
  private async fetchAgain<T>(request: FetchRequest<T>, flightsLeft: number): Promise<Fetched<T>> {
    if (flightsLeft === 0) return this.loadAlone(request);
    const askedAt = this.flights.now();
    const reading = await this.reader.read(request.key, request.markers, request.options.staleMs);
    const { key, options } = request;
    const hit = reading.state === 'fresh' ? this.hit<T>(key, reading, options.serializer) : undefined;
    return hit ?? this.joinOrLoad(request, seenOf(reading), askedAt, flightsLeft - 1);
  }

  /** Loads for this caller only, and stores nothing. */
  private async loadAlone<T>(request: FetchRequest<T>): Promise<Fetched<T>> {
    const nobodyJoins = this.flights.create(request.markers) as Flight<Loaded<T>>;
    const loaded = await this.loader.run(request, ALONE, nobodyJoins);
    if (loaded.outcome === 'own') return { ...NOT_CACHED, value: loaded.value };
    return this.deliver(request, loaded, { collapsed: false }) as Fetched<T>;
  }

  private sightOf(seen: Seen, askedAt: number, markers: readonly EntryKey[]): Sight {
    if (seen.state === 'failed') return { askedAt, read: false, seen: undefined, tags: [] };
    const tags = markers.map(
      (marker, index) => [marker, this.tags.versionIn(marker, seen.markers[index])] as const,
    );
    const version = seen.state === 'stale' ? seen.stored.version : seen.seen;
    return { askedAt, read: true, seen: version, tags };
  }

  /** One caller's copy of what a flight brought; `undefined` if it can't have one and must load by itself. */
  private deliver<T>(
    { key, options: { serializer } }: FetchRequest<T>,
    loaded: Loaded<T>,
    { collapsed }: { collapsed: boolean },
  ): Fetched<T> | undefined {
    if (loaded.outcome === 'own') return undefined;
    if (loaded.outcome === 'absent') return { ...NOT_CACHED, value: undefined as T, collapsed };
    if (loaded.outcome === 'found') {
      const found = this.values.read(key, loaded.reading, serializer);
      return found && fromStore(found.value as T, loaded.reading, undefined, collapsed);
    }
    const value = this.values.readBack(key, loaded.value, serializer) as T;
    const ttlMs = loaded.stored ? loaded.freshUntilMs - Date.now() : 0;
    return { value, hit: false, stale: undefined, stored: loaded.stored, collapsed, ttlMs, ageMs: 0 };
  }
}

/** A request whose caller may take a stale value. */
interface FetchRequest<T> extends LoadRequest<T> {
  readonly refresh: Load<T>;
  readonly options: LoadRequest<T>['options'] &
    Required<Pick<FetchOptions<T>, 'staleWhileRevalidateMs' | 'staleIfErrorMs' | 'excuses'>>;
}

const ALONE = { state: 'alone' } as const;

/** How many more loads a caller waits for after one whose value could not be shared. */
const SECOND_FLIGHTS = 1;

/** What is said of a value that the cache knows nothing of. */
export const NOT_CACHED = {
  hit: false,
  stale: undefined,
  stored: false,
  collapsed: false,
  ttlMs: 0,
  ageMs: 0,
} as const;

/** What is said of a value that lay in the store. */
function fromStore<T>(
  value: T,
  { entry, readAtMs }: Usable,
  stale: Fetched<T>['stale'],
  collapsed: boolean,
): Fetched<T> {
  const ttlMs = entry.freshUntilMs - readAtMs;
  // The clock of the process that wrote it may be ahead of this one's.
  const ageMs = Math.max(0, readAtMs - entry.storedAtMs);
  return { value, hit: true, stale, stored: false, collapsed, ttlMs, ageMs };
}

/**
 * What a flight brings. It is waited for until its load has run for `loadTimeoutMs`, or as long from now if it is
 * running already. While the load waits for its turn, its callers wait with it: that ends by the `loadTimeout` of
 * the one that started it.
 *
 * @throws LoadTimeoutError after that time; else what the load throws
 */
function waitFor<T>(flight: Flight<T>, key: EntryKey, loadTimeoutMs: number): Promise<T> {
  const wait = (waitMs: number): Promise<T> =>
    waitWithTimeout(flight.result, waitMs, () => {
      const nowMs = performance.now();
      const leftMs = (flight.loadingSinceMs ?? nowMs) + loadTimeoutMs - nowMs;
      if (leftMs > 0) return wait(leftMs);
      throw new LoadTimeoutError(readable(key), loadTimeoutMs);
    });
  return wait(loadTimeoutMs);
}

/** Name by name: to spread the options takes longer than the load of many a value. */
function requestOf<T>(key: EntryKey, load: Load<T>, options: FetchOptions<T>): FetchRequest<T> {
  return {
    key,
    markers: options.markers,
    load,
    refresh: options.refresh ?? load,
    abort: undefined,
    options: {
      ttlMs: options.ttlMs,
      loadTimeoutMs: options.loadTimeoutMs,
      staleWhileRevalidateMs: options.staleWhileRevalidateMs,
      staleIfErrorMs: options.staleIfErrorMs,
      staleMs: staleMsOf(options),
      lock: options.lock,
      kind: options.kind ?? 'value',
      admit: options.admit ?? storeAll,
      onUnserializable: options.onUnserializable ?? 'reject',
      excuses: options.excuses ?? excuseAll,
      serializer: options.serializer,
    },
  };
}

/** How long after its ttl an entry can be of use. */
function staleMsOf({
  staleWhileRevalidateMs,
  staleIfErrorMs,
}: Pick<FetchOptions<never>, 'staleWhileRevalidateMs' | 'staleIfErrorMs'>): number {
  return Math.max(staleWhileRevalidateMs, staleIfErrorMs);
}

const storeAll = (): Admission => 'store';
const excuseAll = (): boolean => true;

/** A fresh entry that could not be decoded is one to load and write over. */
function seenOf(reading: Reading): Seen {
  if (reading.state !== 'fresh') return reading;
  return { state: 'absent', seen: reading.stored.version, markers: reading.markers };
}
