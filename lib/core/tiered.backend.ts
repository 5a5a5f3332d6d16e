import { type Awaitable, CacheBackend, type Deadlines, type Stored } from '../backends/cache-backend.js';
import { andThen } from './awaitable.js';
import { checkBackend } from './check-backend.js';
import { CachekitConfigError, messageOf, NotAnnouncedError } from './errors.js';
import { checkOptionNames } from './option-names.js';
import type { Change } from './tiered/bus-message.js';
import { ChangeFeed } from './tiered/change-feed.js';
import { isLease, type NearBackend, NearCopies } from './tiered/near-copies.js';
import { nearName } from './tiered/near-name.js';
import { NearTier } from './tiered/near-tier.js';
import { toMilliseconds, type Ttl } from './ttl.js';

export type { NearBackend } from './tiered/near-copies.js';

/** The two tiers of a `TieredBackend`. */
export interface TieredBackendOptions {
  /**
   * Keeps copies in this process: `new InMemoryBackend()`, which nobody else may use. Its `maxEntries` and `maxBytes`
   * bound them.
   */
  readonly near: NearBackend;
  /** Holds the entries, for all processes. Whoever writes to it past a `TieredBackend` is not noticed by the others. */
  readonly far: CacheBackend;
  /**
   * How long a copy is answered at most, counted from when the far tier was asked for it. So long another process may
   * answer what was there before a change when it did not hear of it. `0` keeps no copies.
   *
   * Default: 10 seconds if the far tier passes messages between the processes (Redis, Postgres): a message is lost
   * only in an outage, and one read of the far tier in 10 seconds costs next to nothing. Otherwise 1 second: every
   * change waits for that, and a busy key still is read from the far tier only once a second.
   */
  readonly nearTtl?: Ttl;
}

const OPTIONS = ['near', 'far', 'nearTtl'] satisfies (keyof TieredBackendOptions)[];
const TTL_WITH_BUS = '10s';
const TTL_WITHOUT_BUS = '1s';
const HINT = 'It takes { near: new InMemoryBackend(), far: new RedisBackend({ url }) }.';

/**
 * A shared backend with copies in the memory of each process: what was read once is answered at once, with no network.
 *
 * - A read asks the near tier, then the far one. A near answer is there at once, not as a promise.
 * - A write goes to the far tier, drops the copy, and tells the other processes which key it was, never the value.
 *   In this process it is in force when its promise resolves. Others hear of it within milliseconds; if they can't,
 *   they answer what was there before for at most `nearTtl`.
 * - Conditional writes are decided by the far tier. Leases and what has expired are never kept near.
 * - While the far tier is away, what is near is still answered; all else rejects as the far tier does.
 *
 * `set`, `delete` and `clear` also reject when the other processes could not be told, so that the caller, or the
 * cache above, tells them again. `replace` does not: it answers who won, and trying again would count twice.
 */
export class TieredBackend extends CacheBackend {
  override readonly deadlines: Deadlines;
  private readonly nearBackend: NearBackend;
  private readonly far: CacheBackend;
  private readonly nearTtlMs: number;
  private readonly near: NearTier;
  private readonly feed: ChangeFeed;

  /**
   * @throws CachekitConfigError for an option that is unknown, or not a backend
   * @throws RangeError for a `nearTtl` that is not a length of time, or has no end
   */
  constructor(options: TieredBackendOptions) {
    super();
    checkOptions(options);
    this.nearBackend = options.near;
    this.far = options.far;
    this.deadlines = options.far.deadlines;
    this.feed = new ChangeFeed(
      () => this.far.bus(),
      (change) => this.near.forget(change),
    );
    this.nearTtlMs = nearTtlInMs(options.nearTtl ?? (this.feed.exists ? TTL_WITH_BUS : TTL_WITHOUT_BUS));
    this.near = new NearTier(new NearCopies(this.nearBackend, this.nearTtlMs));
  }

  override get(key: string): Awaitable<Stored | undefined> {
    return this.near.get(key) ?? this.getFar(key);
  }

  override getMany(keys: readonly string[]): Awaitable<readonly (Stored | undefined)[]> {
    const copies = keys.map((key) => this.near.get(key));
    if (!copies.includes(undefined)) return copies;
    // What is missing is asked for in one call, and the markers of tags with it: one that is older than an entry would
    // condemn it.
    const isAsked = copies.map((copy) => copy === undefined || copy.isMarker);
    const asked = keys.filter((_, index) => isAsked[index]);
    return andThen(this.getManyFar(asked), (answers) => {
      const rest = answers.values();
      return copies.map((copy, index) => (isAsked[index] ? rest.next().value : copy));
    });
  }

  override peek(keys: readonly string[]): readonly (Stored | undefined)[] | undefined {
    const copies = keys.map((key) => this.near.get(key));
    return copies.includes(undefined) ? undefined : copies;
  }

  override async set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    const stored = await this.write([key], () => this.far.set(key, bytes, ttlMs));
    await this.tell([nearName(key)]);
    return stored;
  }

  override async replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    const stored = await this.write([key], () => this.far.replace(key, seen, bytes, ttlMs));
    // A lease only takes the place of what nobody answers any more.
    if (stored !== undefined && !isLease(bytes)) this.tellInBackground([nearName(key)]);
    return stored;
  }

  override async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    await this.write(keys, () => this.far.delete(keys));
    await this.tell(keys.map(nearName));
  }

  override async clear(): Promise<void> {
    this.feed.openByItself();
    try {
      await this.near.writeAll(() => this.far.clear());
    } catch (error) {
      // It may have removed some.
      this.tellInBackground('all');
      throw error;
    }
    await this.tell('all');
  }

  /** Rejects when one of the two tiers or the bus can't be opened now. Those that can are open all the same. */
  override async open(): Promise<void> {
    await allOf([this.nearBackend.open(), this.far.open(), this.feed.open()]);
  }

  /** Closes both tiers and the bus. */
  override async close(): Promise<void> {
    try {
      await allOf([this.feed.close(), this.far.close()]);
    } finally {
      // Last, and reads that are still under way count as overtaken: nothing is kept any more.
      this.near.forget('all');
      await this.nearBackend.close();
    }
  }

  private getFar(key: string): Awaitable<Stored | undefined> {
    this.feed.openByItself();
    return this.near.fill(
      [key],
      () => this.far.get(key),
      (stored) => [stored],
    );
  }

  private getManyFar(keys: readonly string[]): Awaitable<readonly (Stored | undefined)[]> {
    this.feed.openByItself();
    return this.near.fill(
      keys,
      () => this.far.getMany(keys),
      (found) => found,
    );
  }

  private async write<T>(keys: readonly string[], work: () => Awaitable<T>): Promise<T> {
    this.feed.openByItself();
    try {
      return await this.near.write(keys, work);
    } catch (error) {
      // It may have taken effect all the same.
      this.tellInBackground(keys.map(nearName));
      throw error;
    }
  }

  /** @throws NotAnnouncedError if the others can't be told */
  private async tell(change: Change): Promise<void> {
    try {
      await this.feed.send(change);
    } catch (cause) {
      throw new NotAnnouncedError(
        'TieredBackend: the far tier took the change, but the other processes could not be told of it. They may answer ' +
          `what was there before for at most ${this.nearTtlMs} ms. (${messageOf(cause)})`,
        { cause },
      );
    }
  }

  private tellInBackground(change: Change): void {
    this.feed.send(change).catch(() => {
      // The copies of the others end by themselves.
    });
  }
}

function checkOptions(options: TieredBackendOptions): void {
  checkOptionNames(options, OPTIONS, 'TieredBackend');
  checkBackend(options.near, 'TieredBackend, near', HINT);
  checkBackend(options.far, 'TieredBackend, far', HINT);
  if (Object.is(options.near, options.far)) {
    throw new CachekitConfigError(`TieredBackend: near and far are the same backend. ${HINT}`);
  }
}

function nearTtlInMs(nearTtl: Ttl): number {
  const ms = toMilliseconds(nearTtl, 'TieredBackend, nearTtl');
  if (ms < Infinity) return ms;
  throw new RangeError(
    'TieredBackend: nearTtl has no end. It bounds for how long a process answers what was there before a change it ' +
      "did not hear of, so it must have one; '10s' for instance.",
  );
}

/** Waits for all, also when one of them rejects. */
async function allOf(works: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(works);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
