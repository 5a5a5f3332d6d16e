import { EntryTooLargeError } from '../core/errors.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import { isItemTooLarge } from './dynamodb/aws-error.js';
import { DynamoDBConnection } from './dynamodb/dynamodb.connection.js';
import {
  readDynamoDBOptions,
  type DynamoDBBackendOptions,
  type DynamoDBTarget,
} from './dynamodb/dynamodb.options.js';
import {
  read,
  readMany,
  remove,
  removePartitions,
  write,
  type Expected,
} from './dynamodb/dynamodb.requests.js';
import { maxPayloadBytes, nameOf, newEntry, partitionsOf, toItem, type Name } from './dynamodb/item.js';

export type { DynamoDBBackendOptions } from './dynamodb/dynamodb.options.js';

/**
 * Keeps entries in a table of DynamoDB, through the AWS SDK for JavaScript 3.
 *
 * An entry is an item: partition key `<namespace>#0` to `#15`, sort key the cache's key, a version, the bytes, and
 * when DynamoDB may remove it, in whole seconds. DynamoDB does so within days; an entry that is over is never
 * answered by the cache.
 *
 * Connecting is lazy: `open` looks at the table, or the first operation finds out. Each operation is a request of its
 * own: while DynamoDB is away it rejects with a `BackendUnavailableError`, and the first one after its return works.
 */
export class DynamoDBBackend extends CacheBackend {
  /** A cloud database: 1 s to read, 1 s to write. */
  override readonly deadlines = { readMs: 1_000, writeMs: 1_000 };
  readonly #connection: DynamoDBConnection;
  readonly #target: DynamoDBTarget;
  /**
   * What was asked in this very turn, by sort key. Every request is billed, so those who ask for the same at once share
   * an answer. Nobody misses a write by it: none that is known in this turn came after the request.
   */
  readonly #asked = new Map<string, Promise<Stored | undefined>>();

  /**
   * @param options absent: the table `cachekit` in the region and with the credentials of the environment, namespace
   *   `cachekit`
   * @throws CachekitConfigError when an option is not known, illegal, or does not go with another
   */
  constructor(options: DynamoDBBackendOptions = {}) {
    super();
    this.#target = readDynamoDBOptions(options);
    this.#connection = new DynamoDBConnection(this.#target);
  }

  override get(key: string): Promise<Stored | undefined> {
    const name = this.#name(key);
    const asked = this.#asked.get(name.sort);
    if (asked !== undefined) return asked;
    const reading = read(this.#connection.send, this.#target.table, name);
    this.#asked.set(name.sort, reading);
    queueMicrotask(() => this.#asked.delete(name.sort));
    return reading;
  }

  override async getMany(keys: readonly string[]): Promise<readonly (Stored | undefined)[]> {
    const names = keys.map((key) => this.#name(key));
    const found = await readMany(this.#connection.send, this.#target.table, distinct(names));
    return names.map(({ sort }) => found.get(sort));
  }

  override async set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    const written = newEntry(bytes);
    await this.#write(key, written, ttlMs, 'any');
    return written;
  }

  override async replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    const written = newEntry(bytes);
    return (await this.#write(key, written, ttlMs, { seen })) ? written : undefined;
  }

  override async delete(keys: readonly string[]): Promise<void> {
    const names = keys.map((key) => this.#name(key));
    await remove(this.#connection.send, this.#target.table, distinct(names));
  }

  override async clear(): Promise<void> {
    const { namespace, table } = this.#target;
    await removePartitions(this.#connection.send, table, partitionsOf(namespace));
  }

  override open(): Promise<void> {
    return this.#connection.open((send) => read(send, this.#target.table, this.#name('')));
  }

  override close(): Promise<void> {
    return this.#connection.close();
  }

  async #write(key: string, entry: Stored, ttlMs: number, expected: Expected): Promise<boolean> {
    const name = this.#name(key);
    const limit = maxPayloadBytes(name, entry.version);
    const tooLarge = () => new EntryTooLargeError(key, entry.bytes.byteLength, limit, 'DynamoDBBackend');
    if (entry.bytes.byteLength > limit) throw tooLarge();
    try {
      return await write(this.#connection.send, this.#target.table, toItem(name, entry, ttlMs), expected);
    } catch (error) {
      throw error instanceof Error && isItemTooLarge(error.cause) ? tooLarge() : error;
    }
  }

  #name(key: string): Name {
    return nameOf(this.#target.namespace, key);
  }
}

/** DynamoDB refuses a batch that names an item twice. */
function distinct(names: readonly Name[]): Name[] {
  return [...new Map(names.map((name) => [name.sort, name])).values()];
}
