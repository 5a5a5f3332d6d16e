import { crc32 } from 'node:zlib';
import { CachekitConfigError } from '../core/errors.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import { Generations } from './memcached/generation.js';
import { readMemcachedOptions, type MemcachedBackendOptions } from './memcached/memcached.options.js';
import { Shard } from './memcached/shard.js';
import { storableKey } from './namespace.js';

export type { MemcachedBackendOptions } from './memcached/memcached.options.js';

/** memcached's limit for the whole name. */
const MAX_NAME_BYTES = 250;

/**
 * Keeps entries in memcached, on one server or several, through memjs 1.
 *
 * Under `<namespace>:<key>` lies the namespace's generation, a blank, and the bytes. `clear` is one write on each
 * server that begins a new generation; no server is ever flushed. memcached removes entries when their ttl is over, and
 * earlier where it has no room.
 *
 * A key has its place on one of the servers, and on no other while that one is away. Connecting is lazy: `open` does
 * it, or the first operation. While a server is away every operation on its keys rejects at once with a
 * `BackendUnavailableError`, and the backend connects again by itself, within about a second of the server's return.
 */
export class MemcachedBackend extends CacheBackend {
  readonly #prefix: string;
  readonly #shards: readonly Shard[];

  /**
   * @param options absent: `memcached://localhost:11211`, namespace `cachekit`
   * @throws CachekitConfigError when an option is not known, illegal, or does not go with another
   */
  constructor(options: MemcachedBackendOptions = {}) {
    super();
    const { namespace, servers } = readMemcachedOptions(options);
    const generations = new Generations(servers.map(({ place }) => place));
    this.#shards = servers.map((address) => new Shard(address, namespace, generations));
    this.#prefix = `${namespace}:`;
  }

  override get(key: string): Promise<Stored | undefined> {
    const name = this.#name(key);
    return this.#shardOf(name).read(name);
  }

  /** Goes out in one piece to each server that has one of the keys. Rejects when one of these is away. */
  override getMany(keys: readonly string[]): Promise<readonly (Stored | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    const name = this.#name(key);
    return this.#shardOf(name).write({ key, name, bytes, ttlMs });
  }

  override replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    const name = this.#name(key);
    const entry = { key, name, bytes, ttlMs };
    const shard = this.#shardOf(name);
    return seen === undefined ? shard.writeIfAbsent(entry) : shard.writeIfSeen(entry, seen);
  }

  /** Removes what it can also when a server is away; rejects then. */
  override delete(keys: readonly string[]): Promise<void> {
    const names = keys.map((key) => this.#name(key));
    return all(names.map((name) => this.#shardOf(name).remove(name)));
  }

  /** Clears what it can also when a server is away; rejects then. */
  override clear(): Promise<void> {
    return all(this.#shards.map((shard) => shard.clear()));
  }

  override open(): Promise<void> {
    return all(this.#shards.map((shard) => shard.open()));
  }

  override close(): Promise<void> {
    return all(this.#shards.map((shard) => shard.close()));
  }

  #name(key: string): string {
    return this.#prefix + storableKey(key, MAX_NAME_BYTES - this.#prefix.length);
  }

  #shardOf(name: string): Shard {
    const count = this.#shards.length;
    const shard = this.#shards[count === 1 ? 0 : crc32(name) % count];
    if (!shard) throw new CachekitConfigError('MemcachedBackend: it has no server.');
    return shard;
  }
}

/** Waits for all of it, and rejects with the first failure then. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
