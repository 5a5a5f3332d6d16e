import { BackendUnavailableError, EntryTooLargeError, messageOf } from '../core/errors.js';
import { warnOnce } from '../core/warn-once.js';
import { CacheBackend, type Deadlines, type Stored } from './cache-backend.js';
import { documentId } from './firestore/document-id.js';
import {
  isLost,
  read,
  readMany,
  remove,
  removeAll,
  removeExpired,
  write,
  writeIfAbsent,
  writeIfSeen,
} from './firestore/firestore.commands.js';
import { FirestoreConnection } from './firestore/firestore.connection.js';
import { isRefusal } from './firestore/firestore.failure.js';
import { readFirestoreOptions, type FirestoreBackendOptions } from './firestore/firestore.options.js';
import { Sweeper } from './sweeper.js';

export type { FirestoreBackendOptions } from './firestore/firestore.options.js';

/** A document takes 1 MiB, and 4 KiB are more than its name and the other fields need. */
const MAX_VALUE_BYTES = 1024 * 1024 - 4 * 1024;

/**
 * Keeps entries in Firestore (Native mode), through @google-cloud/firestore 7, 8 or 9.
 *
 * An entry is one document in `<collection>/<namespace>/<collection>`, whose field `expiresAt` is made for a TTL
 * policy. Without one, a sweep of this backend removes expired entries.
 *
 * Connecting is lazy: `open` does it, or the first operation. While Firestore is away every operation rejects at
 * once with a `BackendUnavailableError`, and the backend connects again by itself, within a few seconds of the
 * server's return. How soon a given client comes back is up to that.
 */
export class FirestoreBackend extends CacheBackend {
  /** Firestore is a service over the internet, and keeps every write in several places before it answers. */
  override readonly deadlines: Deadlines = { readMs: 1_000, writeMs: 1_000 };
  readonly #connection: FirestoreConnection;
  readonly #place: string;

  /**
   * @param options absent: the project of the environment, its default database, collection and namespace `cachekit`
   * @throws CachekitConfigError when an option is not known, illegal, or does not go with another
   */
  constructor(options: FirestoreBackendOptions = {}) {
    super();
    const target = readFirestoreOptions(options);
    const sweeper = new Sweeper(target.sweepIntervalMs, () => this.#sweep());
    this.#connection = new FirestoreConnection(target, sweeper);
    this.#place = target.place;
  }

  override async get(key: string): Promise<Stored | undefined> {
    const id = documentId(key);
    return this.#connection.run((database) => read(database, id));
  }

  override async getMany(keys: readonly string[]): Promise<readonly (Stored | undefined)[]> {
    if (keys.length === 0) return [];
    const ids = keys.map(documentId);
    return this.#connection.run((database) => readMany(database, ids));
  }

  override async set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    checkSize(key, bytes);
    const id = documentId(key);
    const version = await this.#connection.run((database) => write(database, id, bytes, ttlMs));
    return { bytes, version };
  }

  override async replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    checkSize(key, bytes);
    const id = documentId(key);
    const version = await this.#connection.run<string | undefined>(
      (database) =>
        seen === undefined
          ? writeIfAbsent(database, id, bytes, ttlMs)
          : writeIfSeen(database, id, seen, bytes, ttlMs),
      (error) => (isLost(error) ? { answer: undefined } : undefined),
    );
    return version === undefined ? undefined : { bytes, version };
  }

  override async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const ids = keys.map(documentId);
    await this.#connection.run((database) => remove(database, ids));
  }

  override async clear(): Promise<void> {
    await this.#connection.run(removeAll);
  }

  override open(): Promise<void> {
    return this.#connection.open();
  }

  override close(): Promise<void> {
    return this.#connection.close();
  }

  async #sweep(): Promise<void> {
    try {
      await this.#connection.run(removeExpired);
    } catch (error) {
      // While Firestore is away there is nothing to say that operations don't say better.
      const cause = error instanceof BackendUnavailableError ? error.cause : undefined;
      if (isRefusal(cause)) warnOnce(`sweep of ${this.#place}`, `Expired entries stay: ${messageOf(error)}`);
    }
  }
}

function checkSize(key: string, bytes: Uint8Array): void {
  if (bytes.byteLength <= MAX_VALUE_BYTES) return;
  throw new EntryTooLargeError(key, bytes.byteLength, MAX_VALUE_BYTES, 'FirestoreBackend');
}
