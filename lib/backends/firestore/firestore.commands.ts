import type { DocumentSnapshot, Query, QuerySnapshot, Timestamp, WriteBatch } from '@google-cloud/firestore';
import { randomBytes } from 'node:crypto';
import { asBuffer } from '../../core/as-buffer.js';
import type { Stored } from '../cache-backend.js';
import { inBatches } from '../in-batches.js';
import { CollectedReads } from './collected-reads.js';
import type { OpenDatabase } from './firestore.link.js';
import { codeOf, GrpcStatus } from './grpc-status.js';

/** How many documents go into one request: what a commit took at most until 2023, and well under its 10 MiB. */
const BATCH = 500;

/** How many such requests a sweep makes at most: 10,000 documents. */
const SWEEP_BATCHES = 20;

/** The last moment of Firestore's calendar, 9999-12-31. */
const LAST_MOMENT_MS = 253_402_300_799_999;

/** How a lost condition is told: no document, already one, or another version of it. */
const LOST: readonly (number | undefined)[] = [
  GrpcStatus.NOT_FOUND,
  GrpcStatus.ALREADY_EXISTS,
  GrpcStatus.FAILED_PRECONDITION,
];

/** A document. What it is called in the store is what users see, name in their TTL policy and exempt from indexes. */
interface Document {
  readonly bytes: Buffer;
  /** When it may go; null where it has no end. */
  readonly expiresAt: Date | null;
  /** Random: a write that changes nothing would leave the update time, and so the version, as it was. */
  readonly write: string;
}

const collected = new WeakMap<OpenDatabase, CollectedReads>();

/** The document under an id. */
export function read(database: OpenDatabase, id: string): Promise<Stored | undefined> {
  const reads = collected.get(database) ?? new CollectedReads((ids) => readMany(database, ids));
  collected.set(database, reads);
  return reads.read(id);
}

/** The documents under several ids, in their order. */
export async function readMany(
  { firestore, entries }: OpenDatabase,
  ids: readonly string[],
): Promise<(Stored | undefined)[]> {
  const batches = inBatches(ids, BATCH).map((batch) =>
    firestore.getAll(...batch.map((id) => entries.doc(id))),
  );
  return (await Promise.all(batches)).flat().map(toStored);
}

/** Writes, whatever is there, and answers the version. */
export async function write(
  { entries }: OpenDatabase,
  id: string,
  bytes: Uint8Array,
  ttlMs: number,
): Promise<string> {
  const { writeTime } = await entries.doc(id).set(toDocument(bytes, ttlMs));
  return toVersion(writeTime);
}

/** Writes if there is no document, and answers the version. */
export async function writeIfAbsent(
  { entries }: OpenDatabase,
  id: string,
  bytes: Uint8Array,
  ttlMs: number,
): Promise<string> {
  const { writeTime } = await entries.doc(id).create(toDocument(bytes, ttlMs));
  return toVersion(writeTime);
}

/** Writes if the document still has the version that was seen, and answers the new one; undefined if not. */
export async function writeIfSeen(
  database: OpenDatabase,
  id: string,
  seen: string,
  bytes: Uint8Array,
  ttlMs: number,
): Promise<string | undefined> {
  const lastUpdateTime = toTimestamp(seen, database);
  if (!lastUpdateTime) return undefined;
  const { writeTime } = await database.entries.doc(id).update(toDocument(bytes, ttlMs), { lastUpdateTime });
  return toVersion(writeTime);
}

/** Whether a conditional write failed since somebody else was first. */
export function isLost(error: unknown): boolean {
  return LOST.includes(codeOf(error));
}

/** Removes documents, whether they are there or not. */
export async function remove({ firestore, entries }: OpenDatabase, ids: readonly string[]): Promise<void> {
  const batches = inBatches([...new Set(ids)], BATCH).map(async (batch) => {
    const removal = firestore.batch();
    for (const id of batch) removal.delete(entries.doc(id));
    await removal.commit();
  });
  await Promise.all(batches);
}

/**
 * Removes every document of the namespace, in the order of their ids: what is written while it goes on may stay.
 *
 * @param onProgress is called after every answer, since all of it may take long
 */
export async function removeAll({ firestore, entries }: OpenDatabase, onProgress: () => void): Promise<void> {
  let removal: Promise<unknown> = Promise.resolve();
  let page: Query | undefined = entries.select().limit(BATCH);
  while (page) {
    const [{ docs }]: [QuerySnapshot, unknown] = await Promise.all([page.get(), removal]);
    onProgress();
    const batch = firestore.batch();
    for (const { ref } of docs) batch.delete(ref);
    removal = batch.commit();
    const last: DocumentSnapshot | undefined = docs[BATCH - 1];
    page = last && entries.select().startAfter(last).limit(BATCH);
  }
  await removal;
}

/**
 * Removes expired documents, some thousands at most. It ends early where somebody else writes or removes one of
 * them at the same time: another sweep, mostly.
 *
 * @param onProgress is called after every answer
 */
export async function removeExpired(
  { firestore, entries }: OpenDatabase,
  onProgress: () => void,
): Promise<void> {
  // The automatic index of one field is enough for this.
  const expired = entries.where('expiresAt', '<=', new Date()).select().limit(BATCH);
  for (let batches = 0; batches < SWEEP_BATCHES; batches++) {
    const { docs } = await expired.get();
    onProgress();
    const removal = firestore.batch();
    for (const { ref, updateTime } of docs) removal.delete(ref, { lastUpdateTime: updateTime });
    const isWhole = await commitUnlessLost(removal);
    if (!isWhole || docs.length < BATCH) return;
  }
}

async function commitUnlessLost(batch: WriteBatch): Promise<boolean> {
  try {
    await batch.commit();
    return true;
  } catch (error) {
    if (isLost(error)) return false;
    throw error;
  }
}

/** Of an entry that somebody else wrote, the bytes may be missing; then they are none, and can't be read. */
function toStored(found: DocumentSnapshot): Stored | undefined {
  if (!found.updateTime) return undefined;
  const bytes: unknown = found.get('bytes');
  return {
    bytes: bytes instanceof Uint8Array ? bytes : new Uint8Array(),
    version: toVersion(found.updateTime),
  };
}

function toDocument(bytes: Uint8Array, ttlMs: number): Document & Record<string, unknown> {
  const endMs = Math.ceil(Date.now() + ttlMs);
  return {
    bytes: asBuffer(bytes),
    expiresAt: endMs > LAST_MOMENT_MS ? null : new Date(endMs),
    write: randomBytes(9).toString('base64url'),
  };
}

/** A version is the update time, to the microsecond, which is as fine as Firestore counts. */
const VERSION = /^(\d{1,11})\.(\d{6})$/;

function toVersion({ seconds, nanoseconds }: Timestamp): string {
  return `${seconds}.${String(nanoseconds / 1_000).padStart(6, '0')}`;
}

function toTimestamp(version: string, { Timestamp: Class }: OpenDatabase): Timestamp | undefined {
  const [, seconds, microseconds] = VERSION.exec(version) ?? [];
  if (seconds === undefined) return undefined;
  return new Class(Number(seconds), Number(microseconds) * 1_000);
}
