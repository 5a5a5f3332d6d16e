import { setImmediate } from 'node:timers/promises';
import { CacheService } from 'nestjs-cachekit';
import type { RemoteBackend } from '../remote-backends.js';
import { until } from '../servers/until.js';
import { type Answers, type Glance, machineMs, type TwoTiersOptions, type Watched } from './orders.js';
import { makeTwoTiers } from './two-tiers.js';
import { untilOpen } from './until-open.js';

/** Reads a key on two tiers, one read after the other and with no pause, and notes what is answered. */
export class WatchedKey {
  private readonly cache: CacheService;
  private readonly close: () => Promise<void>;
  private readonly answers: Answers[] = [];
  private readonly failures: string[] = [];
  private readonly watching: Promise<void>;
  /** Those who wait for the answer of a read that has not begun. */
  private waiting: ((glance: Glance) => void)[] = [];
  private farReads = 0;
  private isListening = false;
  private isOver = false;

  /** Begins at once. */
  constructor(remote: RemoteBackend, { key, ...options }: TwoTiersOptions & { readonly key: string }) {
    const { backend, close } = makeTwoTiers(remote, options, {
      onFarRead: () => void this.farReads++,
      onBus: (isUp) => void (this.isListening = isUp),
    });
    this.close = close;
    this.cache = new CacheService(backend, {
      onEvent: (event) => {
        if (event.type === 'error') this.failures.push(String(event.error));
      },
    });
    this.watching = untilOpen(backend).then(() => this.watch(key));
  }

  /** Resolves when the bus is up and the key has been read since. */
  async untilReady(): Promise<void> {
    await until('the bus is up', async () => (await this.look()).isListening);
  }

  /** What the next read is answered. */
  look(): Promise<Glance> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async stop(): Promise<Watched> {
    this.isOver = true;
    await this.watching;
    await this.close();
    return { answers: this.answers, failures: this.failures };
  }

  private async watch(key: string): Promise<void> {
    while (!this.isOver) {
      const { waiting, farReads, isListening } = this;
      this.waiting = [];
      const lastAskedAtMs = machineMs();
      const value = (await this.cache.get<string>(key)) ?? null;
      this.note({ value, lastAskedAtMs });
      const isNear = farReads === this.farReads;
      for (const resolve of waiting) resolve({ value, isNear, isListening });
      await setImmediate();
    }
  }

  private note(answer: Answers): void {
    const isRepeated = this.answers.at(-1)?.value === answer.value;
    this.answers.splice(isRepeated ? -1 : this.answers.length, 1, answer);
  }
}
