import { types } from 'node:util';
import type { Awaitable, CacheBackend } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import { BackgroundRefreshes } from './background-refreshes.js';
import { Claims } from './claims.js';
import type { Entry, TagVersion } from './entry.js';
import { type EntryKey, probeKey, readable } from './entry-key.js';
import { EntryReader, type Reading } from './entry-reader.js';
import { EntryValues } from './entry-values.js';
import {
  BackendTimeoutError,
  BackendUnavailableError,
  excerpt,
  UnknownOutcomeError,
  NotAnnouncedError,
} from './errors.js';
import { EventHub } from './event-hub.js';
import type { CacheEvent, CacheEventListener } from './events.js';
import { Fetcher, type Fetched, type FetchOptions } from './fetcher.js';
import { KeyQueue } from './key-queue.js';
import { Locks } from './locks.js';
import type { Load } from './load-timeout.js';
import { type Loaded, Loader } from './loader.js';
import type { ResolvedCacheOptions } from './options.js';
import { PendingInvalidations } from './pending-invalidations.js';
import { SingleFlight } from './single-flight.js';
import type { CacheStats } from './stats.js';
import { Store } from './store.js';
import { lifeAfterTtlMs } from './store-life.js';
import { markersOf, TagMarkers } from './tag-markers.js';

/** What a read-modify-write operation makes of the entry it read. */
export type Change = (entry: Entry | undefined) => { bytes: Uint8Array; ttlMs: number } | undefined;

/** Between two attempts to catch up that no read asked for. */
const CATCH_UP_PAUSE_MS = 1_000;

/** Where a health check writes. */
const PROBE_KEY = probeKey();
const PROBE_TTL_MS = 60_000;

/** How often a read-modify-write is tried again after other processes wrote first. */
const CHANGE_ATTEMPTS = 50;

/** What every operation on a cache means, composed of small parts. */
export class CacheEngine {
  readonly values: EntryValues;
  readonly locks: Locks;
  private readonly store: Store;
  private readonly tags: TagMarkers;
  private readonly pending: PendingInvalidations;
  private readonly reader: EntryReader;
  private readonly fetcher: Fetcher;
  private readonly flights = new SingleFlight<Loaded<unknown>>();
  private readonly queue = new KeyQueue();
  private readonly refreshes = new BackgroundRefreshes();
  private readonly hub = new EventHub();
  private nextCatchUpMs = 0;

  constructor(
    private readonly backend: CacheBackend,
    readonly options: ResolvedCacheOptions,
  ) {
    const { report } = this.hub;
    this.store = new Store(backend, report);
    this.tags = new TagMarkers(this.store);
    this.pending = new PendingInvalidations(this.store, this.tags, report);
    this.store.onRecovery = () => this.catchUp();
    this.reader = new EntryReader(this.store, this.tags, this.pending, report);
    this.values = new EntryValues(options, report);
    const claims = new Claims(this.store, this.reader, this.tags);
    const freshUntil = (fromMs: number, ttlMs: number): number => this.freshUntilOf(fromMs, ttlMs);
    const loader = new Loader(this.store, claims, this.values, freshUntil, this.hub);
    this.fetcher = new Fetcher(
      this.reader,
      this.values,
      loader,
      this.tags,
      this.flights,
      this.refreshes,
      this.hub,
    );
    this.locks = new Locks(this.store);
    if (options.onEvent !== undefined) this.hub.listen(options.onEvent);
    backend.watchEvictions((key) => this.hub.reportKey('evict', key as EntryKey));
  }

  /** The class of the backend. */
  get backendName(): string {
    return this.backend.constructor.name;
  }

  /** How much longer than its ttl the store keeps an entry of which nothing else is said. */
  get lifeAfterTtlMs(): number {
    return lifeAfterTtlMs(this.options.staleMs, this.options.loadTimeoutMs);
  }

  /** Counts an event and tells the listeners; one that throws does no harm to the operation it is told of. */
  report(event: CacheEvent): void {
    this.hub.report(event);
  }

  /** Tells this listener too, until the function that is answered is called. */
  listen(listener: CacheEventListener): () => void {
    return this.hub.listen(listener);
  }

  stats(): CacheStats {
    return this.hub.stats(this.pending.count);
  }

  /** Starts no more refreshes in the background, waits for those that run, and aborts those that take longer. */
  drain(atMostMs: number): Promise<void> {
    return this.refreshes.drain(atMostMs);
  }

  /**
   * Writes an entry and reads it again, as a cache does all the time.
   *
   * @throws CachekitError if the backend fails
   */
  async probe(): Promise<void> {
    const bytes = this.values.encode(this.values.serialize(true), {
      kind: 'value',
      storedAtMs: Date.now(),
      freshUntilMs: Date.now() + PROBE_TTL_MS,
      tags: [],
    });
    await this.store.set(PROBE_KEY, bytes, PROBE_TTL_MS);
    await this.store.get(PROBE_KEY);
  }

  /** The fresh value under a key, or `undefined`. Never rejects because of the backend. */
  get(key: EntryKey, markers: readonly EntryKey[]): Awaitable<unknown> {
    const reading = this.reader.read(key, markers, 0);
    // By hand, not by `andThen`: a hit in memory needs no callback.
    if (!types.isPromise(reading)) return this.valueOf(key, reading);
    return reading.then((found) => this.valueOf(key, found));
  }

  async getMany(keys: readonly EntryKey[], markers: readonly EntryKey[]): Promise<unknown[]> {
    if (keys.length === 0) return [];
    const readings = await this.reader.readMany(keys, markers);
    return readings.map((reading, index) => this.valueOf(keys[index] as EntryKey, reading));
  }

  /** When the fresh entry under a key ends, in milliseconds since 1970; `undefined` if there is none. */
  freshUntil(key: EntryKey, markers: readonly EntryKey[]): Awaitable<number | undefined> {
    return andThen(this.reader.read(key, markers, 0), (reading) =>
      reading.state === 'fresh' ? reading.entry.freshUntilMs : undefined,
    );
  }

  /** Answers from the store, or joins or starts a load. Rejects only with what the load throws. */
  fetch<T>(key: EntryKey, load: Load<T>, options: FetchOptions<T>): Awaitable<Fetched<T>> {
    return this.fetcher.fetch(key, load, options);
  }

  /** @throws CachekitError if the backend fails */
  async set(key: EntryKey, value: unknown, ttlMs: number, markers: readonly EntryKey[]): Promise<void> {
    if (ttlMs === 0) return this.delete([key]);
    const serialized = this.values.serializeUnder(key, value);
    try {
      if (!this.pending.none) await this.pending.writeBefore(key);
      const tags = await this.versionsOf(markers);
      const nowMs = Date.now();
      const freshUntilMs = this.freshUntilOf(nowMs, ttlMs);
      const bytes = this.values.encode(serialized, { kind: 'value', storedAtMs: nowMs, freshUntilMs, tags });
      const sentAt = this.pending.now();
      await this.store.set(key, bytes, freshUntilMs - nowMs + this.lifeAfterTtlMs);
      this.pending.settleKeys([key], sentAt);
      this.hub.reportKey('set', key);
    } finally {
      this.flights.detach([key]);
    }
  }

  /** @throws CachekitError if the backend fails */
  async delete(keys: readonly EntryKey[]): Promise<void> {
    if (keys.length === 0) return;
    const sentAt = this.pending.now();
    try {
      await this.store.delete(keys);
      this.pending.settleKeys(keys, sentAt);
      for (const key of keys) this.hub.reportKey('delete', key);
    } catch (error) {
      if (!tookEffect(error)) this.pending.addKeys(keys);
      throw error;
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
    const sentAt = this.pending.now();
    try {
      await this.store.clear();
      this.pending.settleAll(sentAt);
      this.report({ type: 'clear' });
    } catch (error) {
      if (!tookEffect(error)) this.pending.addClear();
      throw error;
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
    const changing = this.queue.run(key, () => this.changeNow(key, markers, change));
    return changing.finally(() => this.flights.detach([key]));
  }

  /** The present versions of markers, for an entry that is about to be made. @throws CachekitError */
  async versionsOf(markers: readonly EntryKey[]): Promise<readonly TagVersion[]> {
    if (markers.length === 0) return [];
    if (this.pending.coversAny(markers)) await this.pending.write();
    return this.tags.ensure(markers, await this.store.getMany(markers));
  }

  private async changeNow(key: EntryKey, markers: readonly EntryKey[], change: Change): Promise<boolean> {
    for (let attempt = 0; attempt < CHANGE_ATTEMPTS; attempt++) {
      const reading = await this.reader.readOrThrow(key, markers, 0);
      const isThere = reading.state !== 'absent';
      const next = change(isThere ? reading.entry : undefined);
      if (next === undefined) return false;
      const seen = isThere ? reading.stored.version : reading.seen;
      if (await this.replace(key, seen, next.bytes, next.ttlMs)) return true;
    }
    throw new BackendUnavailableError(
      `"${excerpt(readable(key))}" was written by others ${CHANGE_ATTEMPTS} times while it was changed. Try again.`,
    );
  }

  private async invalidate(markers: readonly EntryKey[], event: CacheEvent): Promise<void> {
    const sentAt = this.pending.now();
    try {
      await this.tags.invalidate(markers);
      this.pending.settleMarkers(markers, sentAt);
      this.report(event);
    } catch (error) {
      if (!tookEffect(error)) this.pending.addMarkers(markers);
      throw error;
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
        `Whether "${excerpt(readable(key))}" was changed is unknown: the backend did not answer in time. Read it before you try again.`,
        { cause: error },
      );
    }
  }

  private catchUp(): void {
    // Not before the operation that succeeded has settled what it wrote: else this would delete it again.
    setImmediate(() => {
      // A backend that can be read but not written would be asked to catch up at every read.
      if (this.pending.none || performance.now() < this.nextCatchUpMs) return;
      this.nextCatchUpMs = performance.now() + CATCH_UP_PAUSE_MS;
      this.pending.write().catch(() => {
        // The store reported it; the next read that is covered tries again.
      });
    });
  }

  private valueOf(key: EntryKey, reading: Reading): unknown {
    const found = reading.state === 'fresh' ? this.values.read(key, reading) : undefined;
    if (found === undefined) this.hub.reportKey('miss', key);
    else this.hub.hit(key, false);
    return found?.value;
  }

  /** When an entry ends that is fresh for `ttlMs` from then on: up to a share `jitter` earlier, at random. */
  private freshUntilOf(fromMs: number, ttlMs: number): number {
    const { jitter } = this.options;
    return jitter === 0 ? fromMs + ttlMs : fromMs + Math.ceil(ttlMs * (1 - Math.random() * jitter));
  }
}

/** Whether the backend did it all the same, so that to do it again would only undo what was written since. */
function tookEffect(error: unknown): boolean {
  return error instanceof NotAnnouncedError;
}
