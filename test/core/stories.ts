import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import type { CacheBackend } from 'nestjs-cachekit';
import { expect } from 'vitest';
import { breakNetworkAtRandom } from '../faults/random-faults.js';
import type { FaultProxy } from '../faults/fault-proxy.js';
import { type InvalidationKind, randomNumbers, type Setting, Story } from './story.js';

/** How much happens. */
export interface Extent {
  readonly stories: number;
  readonly operations: number;
  /** A story ends after this time, however little has happened, in milliseconds. Default: it does not. */
  readonly limitMs?: number;
}

/** Tells stories in which every operation has to work. Each seed is another one; fast-check names one that failed. */
export async function tellStories(
  make: (random: () => number) => Omit<Setting, 'random' | 'isOnFaultyNetwork'>,
  { stories, operations, limitMs = Infinity }: Extent,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.noShrink(fc.integer()), async (seed) => {
      const random = randomNumbers(seed);
      const story = new Story({ ...make(random), random });
      await story.run(operations, limitMs);
      expect(story.faults).toEqual([]);
    }),
    { numRuns: stories },
  );
}

/** Where a story on a faulty network plays. */
export interface FaultySetting {
  /** One for each process; they share their entries, and reach them through `proxy`. */
  readonly backends: readonly CacheBackend[];
  readonly proxy: FaultProxy;
}

const ROUNDS: readonly (InvalidationKind | undefined)[] = ['delete', 'invalidateTags', 'clear', undefined];
const ROUND_MS = 1_200;

/**
 * Tells a story on a network that breaks again and again, and is whole again in between, when nothing of before may
 * take effect any more. It takes about eight seconds.
 */
export async function tellFaultyStory({ backends, proxy }: FaultySetting): Promise<void> {
  const seed = randomInt(2 ** 31);
  const random = randomNumbers(seed);
  const story = new Story({ backends, random, isOnFaultyNetwork: true });
  for (const kind of ROUNDS) {
    story.limitTo(kind);
    const endMs = performance.now() + ROUND_MS;
    const goOn = (): boolean => performance.now() < endMs;
    await Promise.all([story.runWhile(goOn), breakNetworkAtRandom(proxy, random, goOn)]);
    await story.settle();
    await story.run(200);
  }
  expect(story.faults, `seed ${seed}`).toEqual([]);
}
