import { CachekitConfigError } from '../../core/errors.js';
import { PLAIN, type EntryCollection, type Writing } from './mongodb.commands.js';
import { codeOf, isUnauthorized } from './mongodb.failure.js';

const KEY = { expiresAt: 1 } as const;
const [NAMESPACE_NOT_FOUND, INDEX_OPTIONS_CONFLICT, INDEX_KEY_SPECS_CONFLICT] = [26, 85, 86];
const COMMAND = 'createIndex({ expiresAt: 1 }, { expireAfterSeconds: 0 })';

/**
 * Makes the collection ready to hold entries: with the index that lets MongoDB remove what has expired. Creates both where
 * they are missing.
 *
 * @throws CachekitConfigError when the collection can't hold entries, until somebody changes it
 */
export async function prepareCollection(collection: EntryCollection, writing: Writing): Promise<void> {
  try {
    await collection.createIndex(KEY, { ...writing, expireAfterSeconds: 0 });
  } catch (error) {
    if (isConflict(error)) throw otherIndex(collection, error);
    if (!isUnauthorized(error)) throw error;
    // Somebody with more rights may have made it.
    if (!(await hasIndex(collection))) throw mayNotCreate(collection, error);
  }
  await refuseCollation(collection);
}

function isConflict(error: unknown): boolean {
  const code = codeOf(error);
  return code === INDEX_OPTIONS_CONFLICT || code === INDEX_KEY_SPECS_CONFLICT;
}

async function hasIndex(collection: EntryCollection): Promise<boolean> {
  try {
    const indexes = await collection.listIndexes(PLAIN).toArray();
    return indexes.some(({ key, expireAfterSeconds }) => key.expiresAt === 1 && expireAfterSeconds === 0);
  } catch (error) {
    if (codeOf(error) === NAMESPACE_NOT_FOUND) return false;
    throw error;
  }
}

/** Under a collation two different keys may be the same `_id`, and the range of a namespace may hold others' entries. */
async function refuseCollation(collection: EntryCollection): Promise<void> {
  let options;
  try {
    options = await collection.options(PLAIN);
  } catch (error) {
    if (isUnauthorized(error)) return;
    throw error;
  }
  if (options?.['collation'] === undefined) return;
  throw new CachekitConfigError(
    `MongoDBBackend: the collection ${collection.namespace} has a collation, under which different keys can be equal. ` +
      'Use a collection without one.',
  );
}

function otherIndex(collection: EntryCollection, cause: unknown): CachekitConfigError {
  return new CachekitConfigError(
    `MongoDBBackend: the collection ${collection.namespace} has another index on "expiresAt", so nothing would remove ` +
      `what has expired, or at the wrong time. Drop that index, or use another collection. Needed: ${COMMAND}.`,
    { cause: new Error(cause instanceof Error ? cause.message : String(cause)) },
  );
}

function mayNotCreate(collection: EntryCollection, cause: unknown): CachekitConfigError {
  return new CachekitConfigError(
    `MongoDBBackend: the user may not create the index of ${collection.namespace} that removes what has expired. Grant ` +
      `the user the role "readWrite" on the database, or let somebody run ${COMMAND} on the collection.`,
    { cause: new Error(cause instanceof Error ? cause.message : String(cause)) },
  );
}
