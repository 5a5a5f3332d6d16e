import { EntryTooLargeError } from '../core/errors.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import { idOf, MAX_ENTRY_BYTES, newVersion } from './mongodb/entry-document.js';
import {
  readMany,
  remove,
  removeAll,
  write,
  writeIfAbsent,
  writeIfSeen,
  type EntryCollection,
  type Writing,
} from './mongodb/mongodb.commands.js';
import { MongoDBConnection } from './mongodb/mongodb.connection.js';
import { readMongoDBOptions, type MongoDBBackendOptions } from './mongodb/mongodb.options.js';
import { SharedReads } from './mongodb/shared-reads.js';

export type { MongoDBBackendOptions, MongoDBWriteConcern } from './mongodb/mongodb.options.js';

/**
 * Keeps entries in a collection of MongoDB, through its driver 6 or 7.
 *
 * An entry is a document: `_id` is `<namespace>:<key>`, beside it a version, the bytes, and the Date after which MongoDB
 * removes it, within a minute or so, by a TTL index.
 *
 * Reads go to the primary, whatever the client prefers. Connecting is lazy: `open` does it, or the first operation, and
 * creates the index where it is missing. While MongoDB is away every operation rejects at once with a
 * `BackendUnavailableError`, and the backend comes back by itself, within about a second of the server's return.
 */
export class MongoDBBackend extends CacheBackend {
  readonly #connection: MongoDBConnection;
  readonly #namespace: string;
  readonly #writing: Writing;
  readonly #reads = new SharedReads((ids) => this.#readMany(ids));

  /**
   * @param options absent: `mongodb://localhost:27017`, database `cachekit`, collection `cachekit`, namespace `cachekit`
   * @throws CachekitConfigError when an option is not known, illegal, or does not go with another
   */
  constructor(options: MongoDBBackendOptions = {}) {
    super();
    const target = readMongoDBOptions(options);
    this.#connection = new MongoDBConnection(target);
    this.#namespace = target.namespace;
    this.#writing = { writeConcern: target.writeConcern };
  }

  override get(key: string): Promise<Stored | undefined> {
    return this.#reads.get(this.#id(key));
  }

  override async getMany(keys: readonly string[]): Promise<readonly (Stored | undefined)[]> {
    if (keys.length === 0) return [];
    const ids = keys.map((key) => this.#id(key));
    const found = await this.#readMany(ids);
    return ids.map((id) => found.get(id));
  }

  override async set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    const id = this.#id(key);
    const entry = { bytes, version: newVersion() };
    await this.#write(key, entry, (collection) => write(collection, id, entry, ttlMs, this.#writing));
    return entry;
  }

  override async replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    const id = this.#id(key);
    const entry = { bytes, version: newVersion() };
    const isWritten = await this.#write(key, entry, (collection) =>
      seen === undefined
        ? writeIfAbsent(collection, id, entry, ttlMs, this.#writing)
        : writeIfSeen(collection, id, seen, entry, ttlMs, this.#writing),
    );
    return isWritten ? entry : undefined;
  }

  override async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const ids = keys.map((key) => this.#id(key));
    await this.#connection.run((collection) => remove(collection, ids, this.#writing));
  }

  /** In batches. One that fails leaves the rest: call it again. */
  override async clear(): Promise<void> {
    await this.#connection.run((collection) => removeAll(collection, this.#namespace, this.#writing));
  }

  override open(): Promise<void> {
    return this.#connection.open();
  }

  override close(): Promise<void> {
    return this.#connection.close();
  }

  #readMany(ids: readonly string[]): Promise<ReadonlyMap<string, Stored>> {
    return this.#connection.run((collection) => readMany(collection, ids));
  }

  async #write<T>(
    key: string,
    { bytes }: Stored,
    command: (collection: EntryCollection) => Promise<T>,
  ): Promise<T> {
    if (bytes.byteLength > MAX_ENTRY_BYTES) {
      throw new EntryTooLargeError(key, bytes.byteLength, MAX_ENTRY_BYTES, 'MongoDBBackend');
    }
    return this.#connection.run(command);
  }

  #id(key: string): string {
    return idOf(this.#namespace, key);
  }
}
