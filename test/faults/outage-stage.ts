import { randomUUID } from 'node:crypto';
import { type CacheBackend, type CacheEvent, CacheService } from 'nestjs-cachekit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';
import { FaultProxy } from './fault-proxy.js';
import type { BreakableServer, Outage, Place } from './outages.js';

/** What the suite needs to know of a backend. */
export interface OutageSuite {
  /** Starts a server of one's own, once for the whole suite, which stops it. */
  readonly start: () => Promise<BreakableServer>;
  /** Makes a backend that nobody has opened, on the server at this port of 127.0.0.1. */
  readonly make: (port: number, namespace: string) => CacheBackend;
  /**
   * The backend's promise: hits again so soon after the server's return, in milliseconds. Default: 5,000. Beside other
   * tests on a busy machine it is waited for longer.
   */
  readonly backWithinMs?: number;
}

/** A cache that an app uses, and what it was told of it. */
export interface App {
  readonly cache: CacheService;
  readonly events: readonly CacheEvent[];
}

/** Ends the outage. A second time does nothing. */
export type Restore = () => Promise<void>;

/** By so much a machine may be late that runs four spec files and their servers on two cores. */
const BUSY_MS = 25_000;

/** Where the obligations play: one server, and for each test a network before it and apps of its own. */
export class OutageStage {
  /** For how long it is waited for what the backend promises, in milliseconds. */
  readonly backWithinMs: number;
  private readonly make: OutageSuite['make'];
  private started: BreakableServer | undefined;
  /** The class of the backend, for what is printed. */
  private name = '';
  private longestMs = 0;

  constructor({ start, make, backWithinMs = 5_000 }: OutageSuite) {
    this.make = make;
    this.backWithinMs = backWithinMs + BUSY_MS;
    beforeAll(async () => {
      this.started = await start();
    });
    afterAll(() => this.started?.stop());
    afterAll(() => {
      const longestMs = Math.round(this.longestMs);
      console.info(
        `${this.name} has hits again within ${longestMs} ms, of the ${backWithinMs} that it promises`,
      );
    });
    failOnUnhandledRejections();
  }

  get server(): BreakableServer {
    if (this.started === undefined) throw new Error('The server is not started yet: use it inside a test.');
    return this.started;
  }

  /** A network to the server that can be broken. */
  async proxy(): Promise<FaultProxy> {
    const proxy = await FaultProxy.to(this.server.port);
    onTestFinished(() => proxy.takeDown());
    return proxy;
  }

  /** The server and a network that can be broken, for an outage. */
  async place(): Promise<Place> {
    const { readMs, writeMs } = this.backend(this.server.port).deadlines;
    return { server: this.server, proxy: await this.proxy(), tooLateMs: 2 * Math.max(readMs, writeMs) };
  }

  /** A backend that nobody has opened, with a namespace of its own, closed when the test ends. */
  backend(port: number): CacheBackend {
    const backend = this.make(port, `outage-${randomUUID()}`);
    this.name = backend.constructor.name;
    onTestFinished(() => backend.close());
    return backend;
  }

  /** What an app has of such a backend. */
  app(port: number): App {
    const events: CacheEvent[] = [];
    const backend = this.backend(port);
    return { events, cache: new CacheService(backend, { onEvent: (event) => events.push(event) }) };
  }

  /** Resolves once a command works: a machine that stands still for a second makes one miss its deadline. */
  async untilDone(command: () => Promise<void>): Promise<void> {
    await expect.poll(() => command().then(() => 'done', String)).toBe('done');
  }

  /** Takes the server away, until the test ends at the latest. */
  async begin(outage: Outage, place: Place): Promise<Restore> {
    let isOver = false;
    const restore = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await outage.end(place);
    };
    onTestFinished(restore);
    await outage.begin(place);
    return restore;
  }

  /** Resolves when what is loaded is found again. How long that took at most is printed: a busy machine has its share. */
  async untilHits(cache: CacheService): Promise<void> {
    const [key, sinceMs] = [randomUUID(), performance.now()];
    const loadAndFind = async (): Promise<unknown> => {
      await cache.getOrSet(key, () => 'found');
      return cache.get(key);
    };
    await expect.poll(loadAndFind, { timeout: this.backWithinMs, interval: 50 }).toBe('found');
    this.longestMs = Math.max(this.longestMs, performance.now() - sinceMs);
  }
}

/** What nobody waits for must not fail: it would end the process. */
function failOnUnhandledRejections(): void {
  const reasons: unknown[] = [];
  const note = (reason: unknown): void => void reasons.push(reason);
  beforeEach(() => {
    process.on('unhandledRejection', note);
  });
  afterEach(() => {
    process.off('unhandledRejection', note);
    expect(reasons.splice(0)).toEqual([]);
  });
}
