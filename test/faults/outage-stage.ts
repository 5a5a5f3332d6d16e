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
  /** The backend's promise: hits again so soon after the server's return, in milliseconds. Default: 5,000. */
  readonly backWithinMs?: number;
}

/** A cache that an app uses, and what it was told of it. */
export interface App {
  readonly cache: CacheService;
  readonly events: readonly CacheEvent[];
}

/** Ends the outage. A second time does nothing. */
export type Restore = () => Promise<void>;

/** Where the obligations play: one server, and for each test a network before it and apps of its own. */
export class OutageStage {
  readonly backWithinMs: number;
  private readonly make: OutageSuite['make'];
  private started: BreakableServer | undefined;

  constructor({ start, make, backWithinMs = 5_000 }: OutageSuite) {
    this.make = make;
    this.backWithinMs = backWithinMs;
    beforeAll(async () => {
      this.started = await start();
    });
    afterAll(() => this.started?.stop());
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
    onTestFinished(() => backend.close());
    return backend;
  }

  /** What an app has of such a backend. */
  app(port: number): App {
    const events: CacheEvent[] = [];
    const backend = this.backend(port);
    return { events, cache: new CacheService(backend, { onEvent: (event) => events.push(event) }) };
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

  /** Resolves when what is loaded is found again; rejects when that takes longer than the backend promises. */
  async untilHits(cache: CacheService): Promise<void> {
    const key = randomUUID();
    const loadAndFind = async (): Promise<unknown> => {
      await cache.getOrSet(key, () => 'found');
      return cache.get(key);
    };
    await expect.poll(loadAndFind, { timeout: this.backWithinMs, interval: 50 }).toBe('found');
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
