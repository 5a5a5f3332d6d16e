import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { CacheBackend, CacheService, InMemoryBackend, type Stored } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describe, expect, inject, it } from 'vitest';
import { describeOn } from '../servers/describe-on.js';

const KEYS = ['a', 'b', 'c'];
const TAGS = ['x', 'y'];
/** Each key always carries the same tags, as an app would have it. */
const TAGS_OF: Readonly<Record<string, readonly string[]>> = { a: ['x'], b: ['x', 'y'], c: [] };
/** So many things happen at the same time. */
const CLIENTS = 12;

/** A store at the end of a network on which every message takes its own time, both ways. */
class SlowBackend extends CacheBackend {
  constructor(
    private readonly store: InMemoryBackend,
    private readonly delay: () => number,
  ) {
    super();
  }

  override get = (key: string): Promise<Stored | undefined> => this.send(() => this.store.get(key));
  override getMany = (keys: readonly string[]): Promise<(Stored | undefined)[]> =>
    this.send(() => this.store.getMany(keys));
  override set = (key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> =>
    this.send(() => this.store.set(key, bytes, ttlMs));
  override replace = (
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> => this.send(() => this.store.replace(key, seen, bytes, ttlMs));
  override delete = (keys: readonly string[]): Promise<void> => this.send(() => this.store.delete(keys));
  override clear = (): Promise<void> => this.send(() => this.store.clear());
  override open = (): Promise<void> => this.store.open();
  override close = (): Promise<void> => this.store.close();

  private async send<T>(work: () => T): Promise<T> {
    await this.pass();
    const answer = work();
    await this.pass();
    return answer;
  }

  private async pass(): Promise<void> {
    for (let turns = this.delay(); turns > 0; turns--) await setImmediate();
  }
}

/** What is known of a value: which key it is for, and until when it can have been overtaken. */
interface Origin {
  readonly key: string;
  /** A load counts from its beginning, a `set` from its end, since it may take effect as late as that. */
  countsFrom: number;
}

interface Invalidation {
  readonly covers: (key: string) => boolean;
  readonly began: number;
  readonly ended: number;
}

/** Remembers what happened, and says which values may not be read any more. */
class Model {
  private readonly origins = new Map<string, Origin>();
  private readonly invalidations: Invalidation[] = [];
  private ticks = 0;

  now(): number {
    return ++this.ticks;
  }

  /** A new value, unlike every other. */
  value(key: string, countsFrom: number): { value: string; origin: Origin } {
    const value = `${key}${this.origins.size}`;
    const origin = { key, countsFrom };
    this.origins.set(value, origin);
    return { value, origin };
  }

  async invalidate(covers: (key: string) => boolean, work: () => Promise<void>): Promise<void> {
    const began = this.now();
    await work();
    this.invalidations.push({ covers, began, ended: this.now() });
  }

  /** What is wrong with a value that a read of this key answered, which began at that time. */
  fault(key: string, value: string | undefined, began: number): string | undefined {
    if (value === undefined) return undefined;
    const origin = this.origins.get(value);
    if (origin?.key !== key) return `a read of ${key} answered ${value}`;
    const overtaken = this.invalidations.find(
      (one) => one.covers(key) && origin.countsFrom < one.began && one.ended < began,
    );
    return (
      overtaken &&
      `a read of ${key} at ${began} answered ${value} of ${origin.countsFrom}, invalidated at ${overtaken.began}-${overtaken.ended}`
    );
  }
}

/** Runs random operations of many clients on several services, and answers what went wrong. */
async function run(
  services: readonly CacheService[],
  operations: number,
  random: () => number,
): Promise<string[]> {
  const model = new Model();
  const faults: string[] = [];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const check = (key: string, value: string | undefined, began: number): void => {
    const fault = model.fault(key, value, began);
    if (fault !== undefined) faults.push(fault);
  };

  const operate = async (): Promise<void> => {
    const [cache, key, tag, dice] = [pick(services), pick(KEYS), pick(TAGS), random()];
    const tags = TAGS_OF[key] ?? [];
    const began = model.now();
    if (dice < 0.45) {
      const load = async (): Promise<string> => {
        const { value } = model.value(key, model.now());
        for (let turns = Math.floor(random() * 6); turns > 0; turns--) await setImmediate();
        return value;
      };
      check(key, await cache.getOrSet(key, load, { tags, ttl: random() < 0.1 ? '5ms' : '1m' }), began);
    } else if (dice < 0.65) check(key, await cache.get<string>(key), began);
    else if (dice < 0.7) check(key, (await cache.getMany<string>([key]))[0], began);
    else if (dice < 0.78) {
      const { value, origin } = model.value(key, Infinity);
      await cache.set(key, value, { tags });
      origin.countsFrom = model.now();
    } else if (dice < 0.88)
      await model.invalidate(
        (other) => other === key,
        () => cache.delete(key),
      );
    else if (dice < 0.97) {
      await model.invalidate(
        (other) => TAGS_OF[other]?.includes(tag) ?? false,
        () => cache.invalidateTags(tag),
      );
    } else
      await model.invalidate(
        () => true,
        () => cache.clear(),
      );
  };

  const client = async (): Promise<void> => {
    for (let done = 0; done < operations / CLIENTS; done++) await operate();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return faults;
}

/** Each seed is another story; fast-check names the one that failed. */
async function neverForbidden(
  make: (random: () => number) => readonly CacheService[],
  { stories, operations }: { stories: number; operations: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.noShrink(fc.integer()), async (seed) => {
      const random = randomNumbers(seed);
      expect(await run(make(random), operations, random)).toEqual([]);
    }),
    { numRuns: stories },
  );
}

/** Numbers from 0 up to 1, evenly spread and the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('Whatever many clients do at once, nobody reads what was invalidated before', () => {
  it('on one backend in memory', { timeout: 120_000 }, async () => {
    await neverForbidden(
      () => {
        const backend = new InMemoryBackend();
        return [new CacheService(backend), new CacheService(backend)];
      },
      { stories: 50, operations: 2_000 },
    );
  });

  it('on backends that answer late and out of order', { timeout: 120_000 }, async () => {
    await neverForbidden(
      (random) => {
        const store = new InMemoryBackend();
        const late = (): CacheService =>
          new CacheService(new SlowBackend(store, () => Math.floor(random() * 4)));
        return [late(), late(), new CacheService(store)];
      },
      { stories: 20, operations: 1_000 },
    );
  });

  describeOn('redis', 'on a Redis', () => {
    it('that two processes share', { timeout: 120_000 }, async () => {
      const backends: RedisBackend[] = [];
      const twoProcesses = (): CacheService[] => {
        const namespace = `model-${randomUUID()}`;
        const pair = [1, 2].map(() => new RedisBackend({ url: inject('redisUrl'), namespace }));
        backends.push(...pair);
        return pair.map((backend) => new CacheService(backend));
      };
      await neverForbidden(twoProcesses, {
        stories: 5,
        operations: 1_000,
      });
      await Promise.all(backends.map((backend) => backend.close()));
    });
  });
});
