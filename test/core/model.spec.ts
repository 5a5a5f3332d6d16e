import { setImmediate } from 'node:timers/promises';
import { CacheBackend, InMemoryBackend, type Stored } from 'nestjs-cachekit';
import { describe, it, onTestFinished, vi } from 'vitest';
import { patient } from '../remote-backends.js';
import { tellStories } from './stories.js';

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

describe('Whatever many clients do at once, nobody reads what was invalidated before, or is expired', () => {
  it('on one backend in memory, while time flies', { timeout: 120_000 }, async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    await tellStories(
      (random) => {
        // A small one: to clear it takes time in proportion to what it may hold.
        const backend = new InMemoryBackend({ maxEntries: 1_000 });
        const beforeEach = (): void => void vi.setSystemTime(Date.now() + Math.floor(random() * 3));
        return { backends: [backend, backend], beforeEach };
      },
      { stories: 50, operations: 2_000 },
    );
  });

  it('on backends that answer late and out of order', { timeout: 120_000 }, async () => {
    await tellStories(
      (random) => {
        const store = new InMemoryBackend();
        const late = (): CacheBackend => patient(new SlowBackend(store, () => Math.floor(random() * 4)));
        return { backends: [late(), late(), store] };
      },
      { stories: 20, operations: 1_000 },
    );
  });
});
