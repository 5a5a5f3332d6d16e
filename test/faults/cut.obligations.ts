import { setTimeout as delay } from 'node:timers/promises';
import { BackendUnavailableError, type CacheBackend, type CacheService } from 'nestjs-cachekit';
import { expect, it, onTestFinished } from 'vitest';
import type { Cut } from './faulty-connection.js';
import type { OutageStage } from './outage-stage.js';

const CUTS: readonly Cut[] = ['rst', 'fin'];
const CLIENTS = 20;
const MINUTE_MS = 60_000;
/** Before the answer, in its first line, in a value, between two values, in the answer's second packet. */
const CUT_AFTER_BYTES = [0, 1, 9, 400, 5_000, 70_000];
/** Of every length up to 100,000 bytes, and no two alike. */
const VALUES = Array.from({ length: 20 }, (_, index) => `${index}:`.repeat(1 + index * 1_700));
const KEYS = VALUES.map((_, index) => `key${index}`);

/** The stream of answers is broken while it is read. */
export function describeCuts(stage: OutageStage): void {
  for (const how of CUTS) {
    it(`connections that are cut by ${how} under load fail no load and mix up no answers, each time`, async () => {
      const proxy = await stage.proxy();
      const { cache } = stage.app(proxy.port);
      const load = startLoad(cache);
      for (let times = 0; times < 5; times++) {
        await stage.untilHits(cache);
        proxy.cut(how);
      }

      await stage.untilHits(cache);
      expect(await load.stop()).toEqual([]);
    });

    it(`an answer that is cut in the middle by ${how} never gives wrong bytes afterwards`, async () => {
      const proxy = await stage.proxy();
      const { cache, events } = stage.app(proxy.port);
      await stage.untilHits(cache);
      const entries = KEYS.map((key, index) => [key, VALUES[index]] as const);
      await stage.untilDone(() => cache.setMany(entries));
      for (const bytes of CUT_AFTER_BYTES) {
        proxy.cutAnswerAfter(bytes, how);
        const [many, ...answers] = await Promise.all([
          cache.getMany(KEYS),
          ...KEYS.map((key) => cache.get(key)),
        ]);
        expect([...wrongIn(many), ...wrongIn(answers)]).toEqual([]);
        await stage.untilHits(cache);
      }

      await expect.poll(() => cache.getMany(KEYS)).toEqual(VALUES);
      expect(events).not.toContainEqual(expect.objectContaining({ operation: 'decode' }));
    });
  }

  it('a connection that is made while nothing answers is given up in time', async () => {
    const proxy = await stage.proxy();
    const { cache } = stage.app(proxy.port);
    await stage.untilHits(cache);
    await proxy.takeDown();
    await expect.poll(() => proxy.openConnections).toBe(0);
    proxy.blackhole();
    await proxy.bringUp();
    const connectionsAgain = async (): Promise<number> => {
      await cache.get('key');
      return proxy.openConnections;
    };
    await expect.poll(connectionsAgain, { timeout: stage.backWithinMs }).toBeGreaterThan(0);
    proxy.pass();

    await stage.untilHits(cache);
  });

  it('an answer that comes too late is not taken for that of another question', async () => {
    const place = await stage.place();
    const backend = stage.backend(place.proxy.port);
    for (const [index, value] of VALUES.entries()) {
      await stage.untilDone(
        async () => void (await backend.set(`key${index}`, Buffer.from(value), MINUTE_MS)),
      );
    }
    place.proxy.delay({ downMs: place.tooLateMs });
    const late = await Promise.all(KEYS.map((key) => read(backend, key)));
    place.proxy.delay({});
    // In another order, so that none would get its own by chance.
    const after = await Promise.all(KEYS.toReversed().map((key) => read(backend, key)));

    expect([...wrongIn(late), ...wrongIn(after.toReversed())]).toEqual([]);
    const all = () => Promise.all(KEYS.map((key) => read(backend, key)));
    await expect.poll(all, { timeout: stage.backWithinMs }).toEqual(VALUES);
  });
}

/** The text under a key; `undefined` where the backend says that it could not be read. */
async function read(backend: CacheBackend, key: string): Promise<string | undefined> {
  try {
    const stored = await backend.get(key);
    return stored ? Buffer.from(stored.bytes).toString() : `${key} is missing`;
  } catch (error) {
    return error instanceof BackendUnavailableError ? undefined : String(error);
  }
}

/** What is neither the value that belongs there nor absent, shortened. */
function wrongIn(answers: readonly unknown[]): string[] {
  const isWrong = (answer: unknown, index: number): boolean =>
    answer !== undefined && answer !== VALUES[index];
  return answers.filter(isWrong).map((answer) => String(answer).slice(0, 80));
}

interface RunningLoad {
  /** Ends it, and resolves with what went wrong. */
  stop(): Promise<string[]>;
}

/** Many clients that load and delete at the same time, until they are stopped. */
function startLoad(cache: CacheService): RunningLoad {
  const faults = new Set<string>();
  let isOver = false;
  const client = async (number: number): Promise<void> => {
    for (let round = number; !isOver; round++) {
      const [key, value] = [KEYS[round % 5] as string, VALUES[round % 5]];
      const answer = await cache.getOrSet(key, () => value).catch(String);
      if (answer !== value) faults.add(`${key} answered ${String(answer).slice(0, 80)}`);
      // Some fail, since the server is away now and then, and so they may.
      if (round % 5 === 4) await cache.delete(key).catch(() => undefined);
      // While the server is away all is answered at once, and nobody else would get a turn.
      await delay(2);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
  const stop = async (): Promise<string[]> => {
    isOver = true;
    await clients;
    return [...faults];
  };
  onTestFinished(async () => void (await stop()));
  return { stop };
}
