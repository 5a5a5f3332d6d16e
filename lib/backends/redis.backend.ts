import { EntryTooLargeError } from '../core/errors.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import type { MessageBus } from './message-bus.js';
import { storableKey } from './namespace.js';
import { RedisBus } from './redis/redis.bus.js';
import {
  absentIn,
  read,
  readMany,
  unlink,
  unlinkPrefix,
  write,
  writeIfAbsent,
  writeIfSeen,
} from './redis/redis.commands.js';
import { RedisConnection } from './redis/redis.connection.js';
import { readRedisOptions, type RedisBackendOptions } from './redis/redis.options.js';
import { frame, MAX_VALUE_BYTES, unframe, Versions } from './redis/versioned-value.js';

export type { RedisBackendOptions } from './redis/redis.options.js';

/** Redis takes 512 MB; a longer key is no use to anybody who looks into the store. */
const MAX_KEY_BYTES = 1_024;

/**
 * Keeps entries in Redis: one server, a Sentinel group or a Cluster, through ioredis 5 or 6.
 *
 * Under `<namespace>:<key>` lies a version of 21 characters, a blank, and the bytes. The server removes
 * entries when their ttl is over, to the millisecond.
 *
 * Connecting is lazy: `open` does it, or the first operation. While Redis is away every operation rejects at
 * once with a `BackendUnavailableError`, and the backend connects again by itself, within about a second of
 * the server's return.
 */
export class RedisBackend extends CacheBackend {
  readonly #connection: RedisConnection;
  readonly #namespace: string;
  readonly #prefix: string;
  readonly #versions = new Versions();

  /**
   * @param options absent: `redis://localhost:6379`, namespace `cachekit`
   * @throws CachekitConfigError when an option is not known, illegal, or does not go with another
   */
  constructor(options: RedisBackendOptions = {}) {
    super();
    const target = readRedisOptions(options);
    this.#connection = new RedisConnection(target);
    this.#namespace = target.namespace;
    this.#prefix = `${target.namespace}:`;
  }

  override get(key: string): Promise<Stored | undefined> {
    const name = this.#name(key);
    return this.#connection.run((client) => read(client, name), toStored, absentIn);
  }

  override async getMany(keys: readonly string[]): Promise<readonly (Stored | undefined)[]> {
    if (keys.length === 0) return [];
    const names = keys.map((key) => this.#name(key));
    return this.#connection.run(
      (client) => readMany(client, names),
      (found) => found.map(toStored),
    );
  }

  override async set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    const written = this.#newEntry(key, bytes);
    const [name, value] = [this.#name(key), frame(written)];
    return this.#connection.run(
      (client) => write(client, name, value, ttlMs),
      () => written,
    );
  }

  override async replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    const written = this.#newEntry(key, bytes);
    const [name, value] = [this.#name(key), frame(written)];
    return this.#connection.run(
      (client) =>
        seen === undefined
          ? writeIfAbsent(client, name, value, ttlMs)
          : writeIfSeen(client, name, seen, value, ttlMs),
      (isWritten) => (isWritten ? written : undefined),
    );
  }

  override async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const names = keys.map((key) => this.#name(key));
    await this.#connection.run(
      (client) => unlink(client, names),
      (nothing) => nothing,
    );
  }

  override async clear(): Promise<void> {
    await this.#connection.run(
      (client, onProgress) => unlinkPrefix(client, this.#prefix, onProgress),
      (nothing) => nothing,
    );
  }

  override open(): Promise<void> {
    return this.#connection.open();
  }

  override close(): Promise<void> {
    return this.#connection.close();
  }

  /** Regular pub/sub on the channel `<namespace>:bus`, heard on one more connection, made like the backend's own. */
  override bus(): MessageBus {
    return new RedisBus(this.#connection, this.#namespace);
  }

  #name(key: string): string {
    return this.#prefix + storableKey(key, MAX_KEY_BYTES);
  }

  #newEntry(key: string, bytes: Uint8Array): Stored {
    if (bytes.byteLength > MAX_VALUE_BYTES) {
      throw new EntryTooLargeError(key, bytes.byteLength, MAX_VALUE_BYTES, 'RedisBackend');
    }
    return { bytes, version: this.#versions.next() };
  }
}

function toStored(found: Buffer | null): Stored | undefined {
  return found === null ? undefined : unframe(found);
}
