import { randomBytes } from 'node:crypto';
import type { Awaitable, Stored } from '../backends/cache-backend.js';
import { encodeEntry, type TagVersion } from './entry.js';
import { type EntryKey, readable, tagKey } from './entry-key.js';
import { BackendUnavailableError, BrokenEntryError, excerpt } from './errors.js';
import { decodeStored } from './resident-entry.js';
import type { Store } from './store.js';

/** Longer than any sensible ttl; a marker that is lost earlier only costs a reload of the entries that carry it. */
const MARKER_TTL_MS = 30 * 86_400_000;
const VERSION_BYTES = 12;
const ATTEMPTS = 3;
/** Each tag of an entry is one more key to read with it. */
const MOST_TAGS = 64;
const NO_MARKERS: readonly EntryKey[] = [];
const NO_TAGS: readonly TagVersion[] = [];

/**
 * The markers of these tags, without repeats.
 *
 * @param place where they were given, for the message
 * @throws TypeError for a tag that is not a string, RangeError for more than 64
 */
export function markersOf(tags: readonly string[], place: string): readonly EntryKey[] {
  if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== 'string')) {
    throw new TypeError(`${place}: tags must be an array of strings.`);
  }
  if (tags.length === 0) return NO_MARKERS;
  const distinct = [...new Set(tags)];
  if (distinct.length <= MOST_TAGS) return distinct.map(tagKey);
  throw new RangeError(
    `${place}: ${distinct.length} tags are too many, since each is read with the entry. Use at most ${MOST_TAGS}.`,
  );
}

/**
 * Tags without clocks. A tag is a marker entry that holds random bytes, its version. An entry lists the versions its
 * tags had before its load began, and is usable while they are equal; to invalidate a tag is to write a new version:
 * one write, however many entries carry the tag.
 */
export class TagMarkers {
  private readonly renewing = new Set<EntryKey>();

  constructor(private readonly store: Store) {}

  /**
   * The version that a marker holds; `undefined` where there is none, or something that is not a marker. One past
   * half its life is renewed in the background, so that entries which are only read don't outlive their tags.
   */
  versionIn(marker: EntryKey, stored: Stored | undefined): string | undefined {
    const known = stored === undefined ? undefined : readVersion(stored);
    if (known === undefined || stored === undefined) return undefined;
    if (isPastHalf(known) && !this.renewing.has(marker)) void this.renew(marker, stored, known.version);
    return known.version;
  }

  /**
   * The present versions of all these markers, for an entry that is about to be made. A missing marker is written
   * and acknowledged first; one past half its life is renewed with the same version.
   *
   * @param stored what was just read under these keys, in their order
   * @throws CachekitError if the backend fails
   */
  ensure(
    markers: readonly EntryKey[],
    stored: readonly (Stored | undefined)[],
  ): Awaitable<readonly TagVersion[]> {
    if (markers.length === 0) return NO_TAGS;
    return Promise.all(
      markers.map(async (marker, index) => [marker, await this.ensureOne(marker, stored[index])] as const),
    );
  }

  /** @throws CachekitError if the backend fails */
  async invalidate(markers: readonly EntryKey[]): Promise<void> {
    await Promise.all(
      markers.map(async (marker) => this.store.set(marker, encode(newVersion()), MARKER_TTL_MS)),
    );
  }

  private async renew(marker: EntryKey, stored: Stored, version: string): Promise<void> {
    this.renewing.add(marker);
    try {
      // Lost to an invalidation, or to another's renewal: both are right.
      await this.store.replace(marker, stored.version, encode(version), MARKER_TTL_MS);
    } catch {
      // The store reported it; the next read tries again.
    } finally {
      this.renewing.delete(marker);
    }
  }

  private async ensureOne(marker: EntryKey, stored: Stored | undefined): Promise<string> {
    let present = stored;
    for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
      const known = present === undefined ? undefined : readVersion(present);
      if (known !== undefined && !isPastHalf(known)) return known.version;
      // Somebody renews it at the same time, or clears again and again: its version is right all the same.
      if (known !== undefined && attempt === ATTEMPTS) return known.version;
      const version = known?.version ?? newVersion();
      const written = await this.store.replace(marker, present?.version, encode(version), MARKER_TTL_MS);
      if (written !== undefined) return version;
      // Somebody else made, renewed or invalidated it in the meantime: what they wrote counts.
      present = await this.store.get(marker);
    }
    throw new BackendUnavailableError(
      `The tag "${excerpt(readable(marker))}" was cleared again and again while it was read.`,
    );
  }
}

function isPastHalf({ freshUntilMs }: { readonly freshUntilMs: number }): boolean {
  return freshUntilMs - Date.now() <= MARKER_TTL_MS / 2;
}

function newVersion(): string {
  return randomBytes(VERSION_BYTES).toString('base64url');
}

function encode(version: string): Uint8Array {
  const nowMs = Date.now();
  return encodeEntry(
    { kind: 'tag', codec: '-', storedAtMs: nowMs, freshUntilMs: nowMs + MARKER_TTL_MS, tags: [] },
    version,
  );
}

function readVersion(stored: Stored): { version: string; freshUntilMs: number } | undefined {
  try {
    const { kind, text, freshUntilMs } = decodeStored(stored);
    if (kind !== 'tag') return undefined;
    return { version: text, freshUntilMs };
  } catch (error) {
    if (error instanceof BrokenEntryError) return undefined;
    throw error;
  }
}
