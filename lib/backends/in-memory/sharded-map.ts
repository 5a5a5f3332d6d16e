/** So many that a rehash of one stays under ten milliseconds with ten million entries in all. A power of two. */
const SHARDS = 256;
const SHARD_BITS = 8;

/** The golden ratio of 2^32: spreads over all its bits what differs in a few. */
const SPREAD = 0x9e3779b1;

/** Keys of a kind differ most at their end: each of so many characters there counts, and about as many before them. */
const LAST_CHARACTERS = 4;

/**
 * A Map in many parts. One Map of a million entries stands still for a fifth of a second whenever it has to grow,
 * shrink, or tidy up after as many removals; a part does so for a millisecond, and at another time than the others.
 */
export class ShardedMap<T> {
  /** Made when something is put into one. */
  private readonly shards: (Map<string, T> | undefined)[] = Array.from({ length: SHARDS }, () => undefined);

  get(key: string): T | undefined {
    return this.shards[shardOf(key)]?.get(key);
  }

  set(key: string, value: T): void {
    const index = shardOf(key);
    (this.shards[index] ??= new Map<string, T>()).set(key, value);
  }

  delete(key: string): void {
    this.shards[shardOf(key)]?.delete(key);
  }
}

/** Looks at few characters, since it runs at each hit. So it is not fair to all keys: at worst they lie in one part. */
function shardOf(key: string): number {
  const { length } = key;
  const last = length - LAST_CHARACTERS;
  let hash = length;
  for (let at = length - 1; at >= 0 && at >= last; at--) hash = Math.imul(hash, 31) + key.charCodeAt(at);
  const step = 1 + Math.floor(length / LAST_CHARACTERS);
  for (let at = last - 1; at >= 0; at -= step) hash = Math.imul(hash, 31) + key.charCodeAt(at);
  return Math.imul(hash, SPREAD) >>> (32 - SHARD_BITS);
}
