import { isDeepStrictEqual } from 'node:util';
import type { Awaitable } from 'nestjs-cachekit';
import type { HitRatio } from './keys.js';
import { keySequence } from './keys.js';
import { type Rate, rateOfLongCalls, rateOfShortCalls } from './lanes.js';
import { type Item, itemsOf, type Size } from './payload.js';

/** How long every contestant stores, in milliseconds. No entry expires while it is measured. */
export const TTL_MS = 3_600_000;

/** A cache that is asked to answer an entry, and to load and store it where it is missing. */
export interface Contestant {
  readonly getOrSet: (key: string, load: () => Promise<Item>) => Awaitable<Item | undefined>;
  /** Removes all entries. */
  readonly clear: () => Awaitable<unknown>;
  readonly close?: () => Awaitable<unknown>;
}

/** What callers of a cache share with each other. */
export type Isolation = 'copies' | 'shared' | 'shared, frozen';

export interface Scenario {
  readonly size: Size;
  readonly hits: HitRatio;
  readonly concurrency: number;
}

export interface Run extends Scenario {
  readonly durationMs: number;
  /** Whether an answer takes a network: then each call is timed. */
  readonly isRemote: boolean;
}

/** How many entries are stored beforehand: of the large ones few, so that they fit into 128 MiB. */
const STORED: Readonly<Record<Size, number>> = { '60 B': 1_000, '2 KB': 1_000, '58 KB': 100 };

/** What the contestant of this process holds, and nothing else; `undefined`: something else too. */
let filledWith: Size | undefined;

/** So many entries are stored at a time. */
const BATCH = 50;

const keyOf = (id: number): string => `item:${id}`;

/** Fills the cache, checks its answers, measures, and checks that every answer had the right value. */
export async function measureGetOrSet(contestant: Contestant, run: Run): Promise<Rate> {
  const { hits, size } = run;
  const make = itemsOf(size);
  const keys = keySequence(hits, STORED[size]);
  if (filledWith !== size || hits < 1) await fill(contestant, make, keys.stored);
  // What misses is stored too: then others have to make room, or grow.
  filledWith = hits === 1 ? size : undefined;
  let loads = 0;
  let wrong = 0;
  const load = async (id: number): Promise<Item> => {
    loads++;
    return make(id);
  };
  // As callers write it: the load is a closure over what the key is made of.
  const call = (id: number): Awaitable<Item | undefined> => contestant.getOrSet(keyOf(id), () => load(id));
  let calls = 0;

  const lane = async (next: () => number | undefined): Promise<void> => {
    for (let index = next(); index !== undefined; index = next()) {
      const id = keys.idOf(index);
      const item = await call(id);
      if (item?.id !== id) wrong++;
      calls++;
    }
  };
  const remote = async (index: number): Promise<void> => {
    const id = keys.idOf(index);
    const item = await call(id);
    if (item?.id !== id) wrong++;
    calls++;
  };
  // What filling left behind is nobody's cost but that of filling.
  globalThis.gc?.();
  const rate = run.isRemote ? await rateOfLongCalls(run, remote) : await rateOfShortCalls(run, lane);

  if (wrong > 0) throw new Error(`${wrong} of ${calls} answers were wrong.`);
  checkLoads(loads, calls, hits);
  return rate;
}

/** Stores all entries, then asks for each once: what is stored is answered, without another load. */
async function fill(contestant: Contestant, make: (id: number) => Item, count: number): Promise<void> {
  await empty(contestant);
  await inBatches(count, async (id) => {
    await contestant.getOrSet(keyOf(id), async () => make(id));
  });
  // Some do what is to be done once at the first hit.
  await inBatches(count, async (id) => {
    const item = await contestant.getOrSet(keyOf(id), () =>
      Promise.reject(new Error(`${keyOf(id)} is gone`)),
    );
    const isChecked = id % 97 === 0;
    if (isChecked && !isDeepStrictEqual(item, make(id)))
      throw new Error(`${keyOf(id)} is not what was stored.`);
  });
}

async function empty(contestant: Contestant): Promise<void> {
  filledWith = undefined;
  await contestant.clear();
}

async function inBatches(count: number, work: (id: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < count; first += BATCH) {
    const ids = Array.from({ length: Math.min(BATCH, count - first) }, (_, index) => first + index);
    await Promise.all(ids.map(work));
  }
}

/** One more or less comes of where a run begins and ends. */
function checkLoads(loads: number, calls: number, hits: HitRatio): void {
  const expected = (1 - hits) * calls;
  if (Math.abs(loads - expected) > Math.max(1, 0.01 * calls)) {
    throw new Error(`${loads} of ${calls} calls loaded, but ${expected.toFixed(1)} should.`);
  }
}

/** Tries whether a caller that changes what it was answered changes what others are answered. */
export async function isolationOf(contestant: Contestant): Promise<Isolation> {
  await empty(contestant);
  const load = async (): Promise<Item> => ({ id: 1, name: 'as it was stored' });
  await contestant.getOrSet('isolation', load);
  const mine = await contestant.getOrSet('isolation', load);
  if (mine !== undefined && Object.isFrozen(mine)) return 'shared, frozen';
  Object.assign(mine ?? {}, { name: 'changed by one caller' });
  const theirs = await contestant.getOrSet('isolation', load);
  return theirs?.name === 'as it was stored' ? 'copies' : 'shared';
}

/** How often `count` callers who miss the same entry at the same time make it load. */
export async function loadsOfStampede(contestant: Contestant, count: number): Promise<number> {
  await empty(contestant);
  let loads = 0;
  const load = async (): Promise<Item> => {
    loads++;
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    return { id: 7, name: 'loaded' };
  };
  const items = await Promise.all(
    Array.from({ length: count }, async () => contestant.getOrSet('stampede', load)),
  );
  if (items.some((item) => item?.id !== 7)) throw new Error('Somebody was answered something else.');
  return loads;
}
