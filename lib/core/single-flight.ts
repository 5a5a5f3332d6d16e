import type { Awaitable } from '../backends/cache-backend.js';
import type { TagVersion } from './entry.js';
import type { EntryKey } from './entry-key.js';

/** What a caller that found no usable entry saw. */
export interface Sight {
  /** When the caller asked: a point of `SingleFlight.now()`. */
  readonly askedAt: number;
  /** Whether the backend could be read. */
  readonly read: boolean;
  /** The version of what lay under the key; `undefined` for nothing. */
  readonly seen: string | undefined;
  /** The versions of the tags that the caller named. */
  readonly tags: readonly (readonly [marker: string, version: string | undefined])[];
}

/** A load that is running for all who asked for the same key. */
export class Flight<T> {
  /** What all its callers get. Set as soon as the flight starts. */
  result!: Promise<T>;
  /** When its load began, as `performance.now()` says; `undefined`: not yet. */
  loadingSinceMs: number | undefined = undefined;
  /** Whether it had to wait for the load of another process. */
  hasWaited = false;
  private loadBeganAt = Infinity;
  /** Whether the load will write over the version in `base`. */
  private claimed = false;
  /** What lay under the key when the load began; `undefined` if nobody knows. */
  private base: Pick<Sight, 'seen' | 'tags'> | undefined;

  /**
   * @param markers of the tags that its caller named
   * @param now gives points in the order of events, for comparing with when a caller asked
   * @param first what its caller saw
   */
  constructor(
    private readonly markers: readonly EntryKey[],
    private readonly now: () => number,
    private readonly first: Sight | undefined,
  ) {}

  /**
   * Called just before the load begins.
   *
   * @param writesOver the version that the load's value will be written over
   * @param tags the versions that the value will carry
   */
  begin(writesOver: string, tags: readonly TagVersion[]): void {
    this.loadBeganAt = this.now();
    this.claimed = true;
    this.base = { seen: writesOver, tags };
  }

  /**
   * Called just before a load begins whose value will not be written, or before the store is asked again.
   *
   * @param base whether under the key still lies what the caller saw, as far as anybody knows
   */
  beginUnclaimed(base: 'as first seen' | 'unknown'): void {
    this.loadBeganAt = this.now();
    this.claimed = false;
    this.base = base === 'as first seen' && this.first?.read ? this.first : undefined;
  }

  /** Called while the load waits for its turn: whatever it will bring is newer than what anybody sees who asks now. */
  awaitTurn(): void {
    this.hasWaited = true;
    this.loadBeganAt = Infinity;
    this.claimed = false;
    this.base = undefined;
  }

  /** Called when the load's own lease was renewed, and lies there under another version. */
  rebase(version: string): void {
    if (this.claimed && this.base !== undefined) this.base = { ...this.base, seen: version };
  }

  /**
   * Whether the result is as new as this caller may expect. It is if the load begins after the caller asked; or if
   * what the caller saw is just what the load put or left there, so that nothing was written, deleted or invalidated
   * in between, in this process or another.
   *
   * With the backend half away there is less to compare. Where it can't be read, only this process's own invalidations
   * count, which detach the flight. Where it can be read but not written, no lease lies there, and another process
   * that writes and deletes while the load runs goes unnoticed.
   */
  serves(caller: Sight): boolean {
    if (caller.askedAt < this.loadBeganAt) return true;
    if (!caller.read) return !this.claimed;
    return this.base !== undefined && caller.seen === this.base.seen && sameTags(caller.tags, this.base.tags);
  }

  /** Whether its value will carry one of these markers. */
  carries(markers: ReadonlySet<EntryKey>): boolean {
    return this.markers.some((marker) => markers.has(marker));
  }
}

/** Is told how a load ended, before those who wait for it are. */
export interface Outcome<T> {
  succeeded(value: T): void;
  failed(error: unknown): void;
}

const LATER = Promise.resolve();

/** The loads that are running in this process, at most one a key that new callers may join. */
export class SingleFlight<T> {
  private readonly flights = new Map<EntryKey, Flight<T>>();
  private readonly clock = (): number => this.now();
  private ticks = 0;

  /** A point in the order of events in this process: always later than every point before. */
  now(): number {
    return ++this.ticks;
  }

  /** The running load that may serve this caller. */
  find(key: EntryKey, caller: Sight): Flight<T> | undefined {
    const flight = this.flights.get(key);
    return flight?.serves(caller) ? flight : undefined;
  }

  /** Starts a load that later callers may join until it settles, or something newer takes its place. */
  start(
    key: EntryKey,
    markers: readonly EntryKey[],
    first: Sight,
    run: (flight: Flight<T>) => Awaitable<T>,
    outcome: Outcome<T>,
  ): Flight<T> {
    const flight = new Flight<T>(markers, this.clock, first);
    this.flights.set(key, flight);
    // In a later microtask, so that whoever is called from within `run` and asks for the same key finds a result.
    flight.result = LATER.then(() => run(flight)).then(
      (value) => {
        this.end(key, flight);
        outcome.succeeded(value);
        return value;
      },
      (error: unknown) => {
        this.end(key, flight);
        outcome.failed(error);
        throw error;
      },
    );
    return flight;
  }

  private end(key: EntryKey, flight: Flight<T>): void {
    if (this.flights.get(key) === flight) this.flights.delete(key);
  }

  /** A load that nobody may join. */
  create(markers: readonly EntryKey[]): Flight<T> {
    return new Flight<T>(markers, this.clock, undefined);
  }

  /** Nobody joins these loads any more: what they load may be older than a write of this process. */
  detach(keys: readonly EntryKey[]): void {
    for (const key of keys) this.flights.delete(key);
  }

  detachTagged(markers: readonly EntryKey[]): void {
    const wanted: ReadonlySet<EntryKey> = new Set(markers);
    for (const [key, flight] of this.flights) if (flight.carries(wanted)) this.flights.delete(key);
  }

  detachAll(): void {
    this.flights.clear();
  }
}

function sameTags(some: Sight['tags'], others: Sight['tags']): boolean {
  if (some.length !== others.length) return false;
  return some.every(
    ([marker, version], index) => marker === others[index]?.[0] && version === others[index]?.[1],
  );
}
