import { types } from 'node:util';
import type { Awaitable, Stored } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import type { DecodedEntry, Entry, TagVersion } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import type { CacheEventListener } from './events.js';
import type { PendingInvalidations } from './pending-invalidations.js';
import { decodeStored, ResidentEntry } from './resident-entry.js';
import type { Store } from './store.js';
import type { TagMarkers } from './tag-markers.js';

/** An entry that may be answered from: what it depends on was not invalidated. */
export interface Usable {
  /** `stale`: its ttl is over, but not the time for which the reader takes it stale. */
  readonly state: 'fresh' | 'stale';
  readonly entry: DecodedEntry;
  readonly stored: Stored;
  /** What lies under the markers that the caller named, in their order. */
  readonly markers: readonly (Stored | undefined)[];
  /** When it was judged, in milliseconds since 1970. */
  readonly readAtMs: number;
}

/** A usable entry whose ttl is not over. */
export type Fresh = Usable & { readonly state: 'fresh' };

/** A usable entry whose ttl is over. */
export type Stale = Usable & { readonly state: 'stale' };

/** No usable entry: there is nothing, or a lease, or something expired, invalidated or broken. */
export interface Absent {
  readonly state: 'absent';
  /** The version of what lies there; `undefined` if nothing does. */
  readonly seen: string | undefined;
  /** The lease that lies there. */
  readonly lease?: Entry;
  readonly markers: readonly (Stored | undefined)[];
}

/** The backend failed: nobody knows what lies there. It was reported. */
export interface Failed {
  readonly state: 'failed';
}

/** What a read found. */
export type Reading = Fresh | Stale | Absent | Failed;

const FAILED: Failed = { state: 'failed' };
const NO_KEYS: readonly EntryKey[] = [];
const NO_MARKERS: readonly (Stored | undefined)[] = [];

/** Reads entries and judges, once and for all layers, whether they are usable. */
export class EntryReader {
  constructor(
    private readonly store: Store,
    private readonly tags: TagMarkers,
    private readonly pending: PendingInvalidations,
    private readonly report: CacheEventListener,
  ) {}

  /**
   * Reads one entry, and in the same call to the backend the markers that the caller knows the entry to carry.
   * A failure of the backend is an answer, not an exception: it was reported.
   *
   * @param staleMs for how long after its ttl an entry is still usable
   */
  read(key: EntryKey, markers: readonly EntryKey[], staleMs: number): Awaitable<Reading> {
    try {
      if (markers.length === 0 && this.pending.none) return this.readOne(key, staleMs);
      const reading = this.readOrThrow(key, markers, staleMs);
      return types.isPromise(reading) ? reading.catch(() => FAILED) : reading;
    } catch {
      // The store reported it.
      return FAILED;
    }
  }

  /**
   * Reads an entry of which the caller knows no tags, which is nearly every read. Apart from the others, since what a
   * backend in this process answers at once, and carries no tags, needs no promise and no callback.
   */
  private readOne(key: EntryKey, staleMs: number): Awaitable<Reading> {
    const stored = this.store.get(key);
    if (!(stored instanceof ResidentEntry) && types.isPromise(stored)) {
      return stored.then(
        (found) => this.judgeOne(this.decode(key, found), found, staleMs),
        () => FAILED,
      );
    }
    return this.judgeOne(this.decode(key, stored), stored, staleMs);
  }

  private judgeOne(
    entry: DecodedEntry | undefined,
    stored: Stored | undefined,
    staleMs: number,
  ): Awaitable<Reading> {
    if (entry === undefined || entry.tags.length === 0) {
      return settle(entry, stored, NO_MARKERS, NO_VERSIONS, staleMs);
    }
    try {
      const reading = this.judge(entry, stored, NO_KEYS, NO_MARKERS, staleMs);
      return types.isPromise(reading) ? reading.catch(() => FAILED) : reading;
    } catch {
      // The store reported it: a backend may also throw at once.
      return FAILED;
    }
  }

  /** As `read`, for commands: @throws CachekitError if the backend fails */
  readOrThrow(
    key: EntryKey,
    markers: readonly EntryKey[],
    staleMs: number,
  ): Awaitable<Fresh | Stale | Absent> {
    return this.pending.none
      ? this.readNow(key, markers, staleMs)
      : this.readAfterPending(key, markers, staleMs);
  }

  /** What this process could not invalidate is invalidated before it is read. */
  private async readAfterPending(
    key: EntryKey,
    markers: readonly EntryKey[],
    staleMs: number,
  ): Promise<Fresh | Stale | Absent> {
    if (this.pending.covers(key, markers)) await this.pending.write();
    const reading = await this.readNow(key, markers, staleMs);
    if (reading.state === 'absent' || !this.pending.coversTags(reading.entry.tags)) return reading;
    await this.pending.write();
    return this.readNow(key, markers, staleMs);
  }

  private readNow(
    key: EntryKey,
    markers: readonly EntryKey[],
    staleMs: number,
  ): Awaitable<Fresh | Stale | Absent> {
    if (markers.length === 0) {
      const stored = this.store.get(key);
      return andThen(stored, (found) =>
        this.judge(this.decode(key, found), found, markers, NO_MARKERS, staleMs),
      );
    }
    const many = this.store.getMany([key, ...markers]);
    return andThen(many, ([found, ...rest]) =>
      this.judge(this.decode(key, found), found, markers, rest, staleMs),
    );
  }

  /** Reads many entries that carry the same known markers, fresh ones only, in at most two calls to the backend. */
  async readMany(keys: readonly EntryKey[], markers: readonly EntryKey[]): Promise<readonly Reading[]> {
    if (!this.pending.none) return Promise.all(keys.map(async (key) => this.read(key, markers, 0)));
    try {
      const found = await this.store.getMany([...keys, ...markers]);
      const known = found.slice(keys.length);
      const entries = found.slice(0, keys.length).map((stored, index) => this.decode(keys[index], stored));
      const others = unknownMarkers(entries, markers, 0);
      const versions = versionsOf(markers, known, this.tags);
      const more = others.length === 0 ? NO_MARKERS : await this.store.getMany(others);
      for (const [marker, version] of versionsOf(others, more, this.tags)) versions.set(marker, version);
      return entries.map((entry, index) => settle(entry, found[index], known, versions, 0));
    } catch {
      // The store reported it.
      return keys.map(() => FAILED);
    }
  }

  private judge(
    entry: DecodedEntry | undefined,
    stored: Stored | undefined,
    markers: readonly EntryKey[],
    known: readonly (Stored | undefined)[],
    staleMs: number,
  ): Awaitable<Fresh | Stale | Absent> {
    if (entry === undefined || entry.tags.length === 0) {
      return settle(entry, stored, known, NO_VERSIONS, staleMs);
    }
    const versions = versionsOf(markers, known, this.tags);
    const others = unknownMarkers([entry], markers, staleMs);
    if (others.length === 0) return settle(entry, stored, known, versions, staleMs);
    // Only the entry knew these tags: a second read. It comes after the first, so it can only see more invalidations.
    return andThen(this.store.getMany(others), (more) => {
      for (const [marker, version] of versionsOf(others, more, this.tags)) versions.set(marker, version);
      return settle(entry, stored, known, versions, staleMs);
    });
  }

  /** The entry in these bytes; none, with an event, where they are not what this package wrote. */
  private decode(key: EntryKey | undefined, stored: Stored | undefined): DecodedEntry | undefined {
    if (stored === undefined) return undefined;
    try {
      return decodeStored(stored);
    } catch (error) {
      if (key !== undefined) this.report({ type: 'error', operation: 'decode', key: readable(key), error });
      return undefined;
    }
  }
}

const NO_VERSIONS: ReadonlyMap<string, string | undefined> = new Map();

/** The markers that only the entries know, of those entries that may be usable. */
function unknownMarkers(
  entries: readonly (Entry | undefined)[],
  known: readonly EntryKey[],
  staleMs: number,
): EntryKey[] {
  const nowMs = Date.now();
  const unknown = new Set<string>();
  for (const entry of entries) {
    if (entry === undefined || entry.freshUntilMs + staleMs <= nowMs) continue;
    for (const [marker] of entry.tags) unknown.add(marker);
  }
  for (const marker of known) unknown.delete(marker);
  return [...unknown] as EntryKey[];
}

function versionsOf(
  markers: readonly EntryKey[],
  stored: readonly (Stored | undefined)[],
  tags: TagMarkers,
): Map<string, string | undefined> {
  return new Map(markers.map((marker, index) => [marker, tags.versionIn(marker, stored[index])]));
}

function settle(
  entry: DecodedEntry | undefined,
  stored: Stored | undefined,
  markers: readonly (Stored | undefined)[],
  versions: ReadonlyMap<string, string | undefined>,
  staleMs: number,
): Fresh | Stale | Absent {
  if (stored === undefined) return { state: 'absent', seen: undefined, markers };
  const readAtMs = Date.now();
  if (entry !== undefined && entry.freshUntilMs + staleMs > readAtMs && isValid(entry, versions)) {
    return entry.freshUntilMs > readAtMs
      ? { state: 'fresh', entry, stored, markers, readAtMs }
      : { state: 'stale', entry, stored, markers, readAtMs };
  }
  const seen = stored.version;
  return entry?.kind === 'lease'
    ? { state: 'absent', seen, lease: entry, markers }
    : { state: 'absent', seen, markers };
}

/** Whether it holds a value, and none of its tags was invalidated. */
function isValid({ kind, tags }: Entry, versions: ReadonlyMap<string, string | undefined>): boolean {
  if (kind !== 'value' && kind !== 'http') return false;
  if (tags.length === 0) return true;
  return tags.every(([marker, version]: TagVersion) => versions.get(marker) === version);
}
