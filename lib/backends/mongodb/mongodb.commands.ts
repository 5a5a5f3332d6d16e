import type { Collection, WriteConcernSettings } from 'mongodb';
import type { Stored } from '../cache-backend.js';
import { inBatches } from '../in-batches.js';
import { codeOf } from './mongodb.failure.js';
import { allOf, seenFilter, toDocument, toStored, type AnyDocument } from './entry-document.js';

/** A collection that holds entries, and perhaps documents of others. */
export type EntryCollection = Collection<AnyDocument>;

/**
 * Reads are those of the primary, whatever the client was set up with: on a secondary, what was just written or deleted
 * may not be known yet. `local` is the newest that the primary has; `majority` may be older than the last write.
 */
const NEWEST = { readPreference: 'primary', readConcern: { level: 'local' } } as const;

/** How documents become objects, whatever the client was set up with. */
export const PLAIN = {
  raw: false,
  promoteValues: true,
  promoteBuffers: true,
  promoteLongs: true,
  useBigInt64: false,
} as const;

const READING = { ...NEWEST, ...PLAIN } as const;

/** A command takes 16 MiB; so many of the longest ids take 5. */
const IDS_PER_COMMAND = 5_000;

/** `clear` removes so many at a time, so that no command takes long. */
const CLEARED_PER_COMMAND = 1_000;

/** Two writers of an absent document can both try to insert it, where MongoDB does not try again by itself. */
const TRIES_TO_WRITE = 3;

const DUPLICATE_KEY = 11_000;

/** How writes are acknowledged. */
export interface Writing {
  readonly writeConcern: WriteConcernSettings;
}

/** What there is under these ids, by id. */
export async function readMany(
  collection: EntryCollection,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Stored>> {
  const [id] = ids;
  if (id !== undefined && ids.length === 1) return readOne(collection, id);
  const batches = inBatches([...new Set(ids)], IDS_PER_COMMAND).map((batch) =>
    // All in one answer, up to 16 MiB: by default the first one has 101 documents.
    collection.find({ _id: { $in: batch } }, { ...READING, batchSize: batch.length + 1 }).toArray(),
  );
  const found = (await Promise.all(batches)).flat();
  return new Map(found.map((document) => [document._id, toStored(document)]));
}

async function readOne(collection: EntryCollection, id: string): Promise<ReadonlyMap<string, Stored>> {
  const found = await collection.findOne({ _id: id }, READING);
  return new Map(found === null ? [] : [[id, toStored(found)]]);
}

export async function write(
  collection: EntryCollection,
  id: string,
  entry: Stored,
  ttlMs: number,
  writing: Writing,
): Promise<void> {
  for (let triesLeft = TRIES_TO_WRITE - 1; ; triesLeft--) {
    try {
      // The whole document, so that no end of an earlier entry is left in it.
      await collection.replaceOne({ _id: id }, toDocument(entry, ttlMs), { ...writing, upsert: true });
      return;
    } catch (error) {
      if (codeOf(error) !== DUPLICATE_KEY || triesLeft === 0) throw error;
    }
  }
}

/** Whether there was none, and so it was written. */
export async function writeIfAbsent(
  collection: EntryCollection,
  id: string,
  entry: Stored,
  ttlMs: number,
  writing: Writing,
): Promise<boolean> {
  try {
    await collection.insertOne({ _id: id, ...toDocument(entry, ttlMs) }, writing);
    return true;
  } catch (error) {
    if (codeOf(error) !== DUPLICATE_KEY) throw error;
    return isThere(collection, id, entry);
  }
}

/** Whether the version was still `seen`, and so it was written. */
export async function writeIfSeen(
  collection: EntryCollection,
  id: string,
  seen: string,
  entry: Stored,
  ttlMs: number,
  writing: Writing,
): Promise<boolean> {
  const result = await collection.replaceOne(seenFilter(id, seen), toDocument(entry, ttlMs), writing);
  return result.matchedCount === 1 || isThere(collection, id, entry);
}

/**
 * Whether this very write is there although MongoDB says that it came too late. A client with `retryWrites` sends a
 * write again when the connection broke before the answer; where the server does not know it again, the second one
 * finds the first.
 */
async function isThere(collection: EntryCollection, id: string, { version }: Stored): Promise<boolean> {
  const found = await collection.findOne({ _id: id }, { ...READING, projection: { version: 1 } });
  return found?.version === version;
}

export async function remove(
  collection: EntryCollection,
  ids: readonly string[],
  writing: Writing,
): Promise<void> {
  const batches = inBatches(ids, IDS_PER_COMMAND).map((batch) =>
    collection.deleteMany({ _id: { $in: batch } }, writing),
  );
  await Promise.all(batches);
}

/** Removes the entries of a namespace, some thousands at a time. */
export async function removeAll(
  collection: EntryCollection,
  namespace: string,
  writing: Writing,
): Promise<void> {
  const { $gte, $lt } = allOf(namespace);
  for (let from = $gte; ;) {
    const next = await idAfter(collection, { $gte: from, $lt }, CLEARED_PER_COMMAND);
    await collection.deleteMany({ _id: { $gte: from, $lt: next ?? $lt } }, writing);
    if (next === undefined) return;
    from = next;
  }
}

/** The id that comes after so many of a range; undefined when there are not more. */
async function idAfter(
  collection: EntryCollection,
  range: ReturnType<typeof allOf>,
  count: number,
): Promise<string | undefined> {
  const options = { ...READING, projection: { _id: 1 }, sort: { _id: 1 }, skip: count, limit: 1 } as const;
  const [found] = await collection.find({ _id: range }, options).toArray();
  return found?._id;
}
