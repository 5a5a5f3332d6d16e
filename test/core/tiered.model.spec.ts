import { setImmediate } from 'node:timers/promises';
import { type CacheBackend, InMemoryBackend, TieredBackend } from 'nestjs-cachekit';
import { describe, it } from 'vitest';
import { patient } from '../remote-backends.js';
import { tellStories } from './stories.js';
import { FarBackend, Network } from './tiered-stage.js';

/** A network on which everything takes its own time, both ways. A message has arrived when its sender hears so. */
class SlowNetwork extends Network {
  constructor(private readonly random: () => number) {
    super();
  }

  override async answer<T>(work: () => T): Promise<T> {
    await this.pass();
    const result = await super.answer(work);
    await this.pass();
    return result;
  }

  override async send(text: string): Promise<void> {
    await this.pass();
    await super.send(text);
    await this.pass();
  }

  private async pass(): Promise<void> {
    for (let turns = Math.floor(this.random() * 4); turns > 0; turns--) await setImmediate();
  }
}

function tiers(random: () => number, count: number): CacheBackend[] {
  const [store, network] = [new InMemoryBackend(), new SlowNetwork(random)];
  return Array.from({ length: count }, () => {
    const near = new InMemoryBackend({ maxEntries: 1 + Math.floor(random() * 20) });
    return new TieredBackend({ near, far: patient(new FarBackend(store, network)) });
  });
}

describe('Whatever many clients do at once on two tiers, nobody reads what was invalidated before, or is expired,', () => {
  it('in one process', { timeout: 120_000 }, async () => {
    await tellStories(
      (random) => {
        const [backend] = tiers(random, 1) as [CacheBackend];
        return { backends: [backend, backend] };
      },
      { stories: 10, operations: 800 },
    );
  });

  it('in processes that have heard of it', { timeout: 120_000 }, async () => {
    await tellStories((random) => ({ backends: tiers(random, 3) }), { stories: 10, operations: 800 });
  });
});
