import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { type CacheBackend, CachekitError, type CacheEvent, CacheService } from 'nestjs-cachekit';
import { until } from '../servers/until.js';
import { Model, type Origin, type Read } from './model.js';

const KEYS = ['a', 'b', 'c'];
const TAGS = ['x', 'y'];
/** Each key always carries the same tags, as an app would have it. */
const TAGS_OF: Readonly<Record<string, readonly string[]>> = { a: ['x'], b: ['x', 'y'], c: [] };
const TTLS_MS = [5, 30, 60_000, 60_000, 60_000];
/** So many things happen at the same time. */
const CLIENTS = 12;

/** How things are invalidated. */
export type InvalidationKind = 'delete' | 'invalidateTags' | 'clear';
/** As often as they stand here. A `clear` would hide what the others miss. */
const INVALIDATIONS: readonly InvalidationKind[] = [
  ...Array<InvalidationKind>(4).fill('delete'),
  ...Array<InvalidationKind>(4).fill('invalidateTags'),
  'clear',
];

/** Where a story plays. */
export interface Setting {
  /** One for each process; they share their entries. */
  readonly backends: readonly CacheBackend[];
  /** Numbers from 0 up to 1 that decide what happens. */
  readonly random: () => number;
  /** Whether operations may fail. Default: one that does fails the test. */
  readonly isOnFaultyNetwork?: boolean;
  /** Called before each operation, for instance to let time pass on a fake clock. Default: nothing happens. */
  readonly beforeEach?: () => void;
}

/** Random operations of many clients in several processes, all answers to which are checked against a model. */
export class Story {
  /** What went wrong. */
  readonly faults: string[] = [];
  private readonly model: Model;
  private readonly caches: readonly CacheService[];
  /** How often each process could not use its backend. */
  private readonly failures: number[];
  private readonly isOnFaultyNetwork: boolean;
  private readonly random: () => number;
  private readonly beforeEach: () => void;
  private kinds = INVALIDATIONS;

  constructor({ backends, random, isOnFaultyNetwork = false, beforeEach = () => undefined }: Setting) {
    this.isOnFaultyNetwork = isOnFaultyNetwork;
    this.random = random;
    this.beforeEach = beforeEach;
    this.model = new Model(isOnFaultyNetwork);
    this.failures = backends.map(() => 0);
    this.caches = backends.map((backend, process) => {
      const onEvent = (event: CacheEvent): void => this.note(process, event);
      return new CacheService(backend, { onEvent });
    });
  }

  /** Things are invalidated only so from now on: one kind hides what another misses. `undefined`: in all ways. */
  limitTo(kind: InvalidationKind | undefined): void {
    this.kinds = INVALIDATIONS.filter((one) => kind === undefined || one === kind);
  }

  /** Lets all clients operate, until so many operations are done, or so many milliseconds over. Default: no limit. */
  async run(operations: number, limitMs = Infinity): Promise<void> {
    const endMs = performance.now() + limitMs;
    let left = operations;
    await this.runWhile(() => left-- > 0 && performance.now() < endMs);
  }

  async runWhile(goOn: () => boolean): Promise<void> {
    const client = async (): Promise<void> => {
      while (goOn()) {
        this.beforeEach();
        await this.operate();
        // What fails does so at once, and would keep everybody else from getting a turn.
        if (this.isOnFaultyNetwork) await delay(this.random() * 5);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  /**
   * Waits until every process has made up for what it could not write. The network has to be whole again, and
   * nothing of what went before may be under way in it.
   */
  async settle(): Promise<void> {
    for (const process of this.caches.keys()) await this.untilItWorks(process);
    this.model.settle();
  }

  private async operate(): Promise<void> {
    const [process, key, dice] = [
      Math.floor(this.random() * this.caches.length),
      this.pick(KEYS),
      this.random(),
    ];
    const cache = this.cache(process);
    if (dice < 0.45) await this.load(process, key);
    else if (dice < 0.65) await this.check(process, key, () => cache.get(key));
    else if (dice < 0.7) await this.check(process, key, async () => (await cache.getMany<string>([key]))[0]);
    else if (dice < 0.78) await this.set(process, key);
    else await this.invalidate(process, key);
  }

  private async load(process: number, key: string): Promise<void> {
    const origins: Origin[] = [];
    const ttlMs = this.pick(TTLS_MS);
    const load = async (): Promise<string> => {
      const { value, origin } = this.model.load(key, process, ttlMs);
      origins.push(origin);
      for (let turns = Math.floor(this.random() * 6); turns > 0; turns--) await setImmediate();
      return value;
    };
    const options = { tags: TAGS_OF[key] ?? [], ttl: ttlMs / 1_000 };
    await this.check(process, key, () => this.cache(process).getOrSet(key, load, options));
    for (const origin of origins) origin.settled = this.model.now();
  }

  private set(process: number, key: string): Promise<void> {
    const ttlMs = this.pick(TTLS_MS);
    const options = { tags: TAGS_OF[key] ?? [], ttl: ttlMs / 1_000 };
    return this.model.set(key, process, ttlMs, (value) =>
      this.works(this.cache(process).set(key, value, options)),
    );
  }

  private invalidate(process: number, key: string): Promise<void> {
    const [cache, tag] = [this.cache(process), this.pick(TAGS)];
    const [covers, write] = {
      delete: [(other: string) => other === key, () => cache.delete(key)] as const,
      invalidateTags: [
        (other: string) => TAGS_OF[other]?.includes(tag) ?? false,
        () => cache.invalidateTags(tag),
      ] as const,
      clear: [() => true, () => cache.clear()] as const,
    }[this.pick(this.kinds)];
    return this.model.invalidate(covers, process, () => this.works(write()));
  }

  private async check(
    process: number,
    key: string,
    answer: () => Promise<string | undefined>,
  ): Promise<void> {
    const read: Read = this.model.read(key, process);
    const fault = this.model.fault(read, await answer());
    if (fault !== undefined) this.faults.push(fault);
  }

  /** Whether a command worked. */
  private async works(command: Promise<void>): Promise<boolean> {
    try {
      await command;
      return true;
    } catch (error) {
      if (!this.isOnFaultyNetwork || !(error instanceof CachekitError)) throw error;
      return false;
    }
  }

  private untilItWorks(process: number): Promise<void> {
    return until(`process ${process} can use its backend`, async () => {
      const before = this.failures[process];
      // All keys, and with them all tags: what is pending for them is written first.
      for (const key of KEYS) await this.load(process, key);
      return this.failures[process] === before;
    });
  }

  private note(process: number, event: CacheEvent): void {
    const isFailure = event.type === 'error' || (event.type === 'not-stored' && event.reason === 'backend');
    if (isFailure) this.failures[process] = (this.failures[process] ?? 0) + 1;
  }

  private cache(process: number): CacheService {
    return this.caches[process] as CacheService;
  }

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)] as T;
  }
}

/** Numbers from 0 up to 1, evenly spread and the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
