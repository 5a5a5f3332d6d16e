import type { OnApplicationShutdown, OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import type { CacheBackend } from '../backends/cache-backend.js';
import { withDeadline } from './deadline.js';
import { CachekitConfigError } from './errors.js';
import type { CacheEventListener } from './events.js';

/** An app starts while its cache is down: it gives it this long, so that the first requests find it open. */
const OPEN_WAIT_MS = 1_000;
/** With `failFast` an app does not start without its cache: it gives it this long. */
const FAIL_FAST_WAIT_MS = 10_000;

/** So long a shutdown waits for refreshes in the background, before it aborts them. */
const DRAIN_MS = 5_000;

/** How many apps use a backend. Two apps made from one module share the instance; the last one closes it. */
const users = new WeakMap<CacheBackend, number>();

/** Opens a backend when its app starts, and closes it when the last app that uses it has shut down. */
export class BackendLifecycle implements OnModuleInit, OnModuleDestroy, OnApplicationShutdown {
  private inUse = false;

  constructor(
    private readonly backend: CacheBackend,
    private readonly failFast: boolean,
    private readonly report: CacheEventListener,
    private readonly drain: (atMostMs: number) => Promise<void>,
  ) {}

  /** @throws CachekitConfigError if the backend can never work; with `failFast`, any failure to open it */
  async onModuleInit(): Promise<void> {
    this.inUse = true;
    users.set(this.backend, (users.get(this.backend) ?? 0) + 1);
    const waitMs = this.failFast ? FAIL_FAST_WAIT_MS : OPEN_WAIT_MS;
    try {
      await withDeadline(openOf(this.backend), waitMs, () => `${this.backend.constructor.name}.open`);
    } catch (error) {
      if (this.failFast || error instanceof CachekitConfigError) {
        // The app won't start, so nobody would call the shutdown hook.
        await this.onApplicationShutdown();
        throw error;
      }
      this.report({ type: 'error', operation: 'open', error });
    }
  }

  /** Before other modules close what the loads need, such as a database. */
  async onModuleDestroy(): Promise<void> {
    await this.drain(DRAIN_MS);
  }

  /** After the server has answered its last request. Never rejects: an app must be able to stop. */
  async onApplicationShutdown(): Promise<void> {
    // An app that was only compiled may have used its backend too, which then opened by itself.
    const left = (users.get(this.backend) ?? 0) - (this.inUse ? 1 : 0);
    this.inUse = false;
    users.set(this.backend, left);
    if (left > 0) return;
    try {
      await this.backend.close();
    } catch (error) {
      this.report({ type: 'error', operation: 'close', error });
    }
  }
}

/** A promise also of an `open` that throws, or answers nothing. */
async function openOf(backend: CacheBackend): Promise<void> {
  await backend.open();
}
