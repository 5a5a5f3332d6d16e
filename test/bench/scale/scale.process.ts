/** The process of one number of entries: `scale.process.js <kind> <entries>`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { answerQuestions } from '../measure/answer-questions.js';
import { itemsOf } from '../measure/payload.js';
import {
  type Churn,
  type Costs,
  type Invalidation,
  type ReadCosts,
  SCALE_KINDS,
  type ScaleKind,
  type ScaleQuestion,
} from './scale.js';
import { scaleStore } from './scale-stores.js';

const [kindName, count = ''] = process.argv.slice(2);
const kind = kindOf(kindName);
const entries = Number(count);
const make = itemsOf('60 B');
const keyOf = (id: number): string => `item:${id}`;

/** So many calls show what one costs; every entry is touched only when it is stored. */
const CALLS = 200_000;
/** Of as many runs the fastest counts: the others were disturbed by more of what else the machine does. */
const RUNS = 4;
const KEYS_AT_ONCE = 1_000;
const TAG = 'all';
const WATCH_MS = 3_000;
const CHURN_PER_TURN = 200;
/** Half of a million entries are written by then, on a slow machine too. */
const EXPIRY_MS = 20_000;
/** A prime, so that the ids of neighbouring ranks lie apart and no two ranks have the same. */
const SCATTER = 1_000_003;

const backend = new InMemoryBackend({ maxEntries: entries + 1_000, maxBytes: 16 * 1024 ** 3 });
const cache = new CacheService(backend);

answerQuestions<ScaleQuestion>(async (question) => {
  if (question === 'costs') return costs();
  return question === 'churn' ? churn() : invalidation();
});

async function costs(): Promise<Costs> {
  const store = scaleStore(kind, entries, cache);
  const before = usedBytes();
  const setNs = await eachNs(entries, (call) => store.set(keyOf(call), make(call)));
  const bytesPerEntry = (usedBytes() - before) / entries;
  await eachNs(entries, (call) => store.get(keyOf(call)));
  const bytesPerReadEntry = (usedBytes() - before) / entries;
  for (const id of [0, entries >> 1, entries - 1]) {
    const item = (await store.get(keyOf(id))) as { id: number } | undefined;
    if (item?.id !== id) throw new Error(`${kind} answered another item than ${id}.`);
  }
  const get = await readCosts((id) => store.get(keyOf(id)));
  const common = { setNs, get, bytesPerEntry, bytesPerReadEntry };
  if (kind !== 'cachekit') return common;
  const getOrSet = await readCosts((id) => cache.getOrSet(keyOf(id), fail, '1h'));
  const ids = uniformIds();
  const getManyNs = await fastestNs(CALLS / KEYS_AT_ONCE, (call) => manyFrom(ids, call * KEYS_AT_ONCE));
  return { ...common, getOrSet, getManyMs: getManyNs / 1e6 };
}

async function readCosts(read: (id: number) => unknown): Promise<ReadCosts> {
  const [uniform, zipf] = [uniformIds(), zipfIds()];
  const uniformNs = await fastestNs(CALLS, (call) => read(uniform[call] ?? 0));
  return { uniformNs, zipfNs: await fastestNs(CALLS, (call) => read(zipf[call] ?? 0)) };
}

async function manyFrom(ids: Int32Array, first: number): Promise<void> {
  const keys = Array.from(ids.subarray(first, first + KEYS_AT_ONCE), keyOf);
  const found = await cache.getMany(keys);
  if (found.length !== keys.length || found.includes(undefined)) throw new Error('An entry is missing.');
}

/** How long the event loop stood still while entries were evicted by new ones, and while half of all expired. */
async function churn(): Promise<Churn> {
  usedBytes();
  const idle = await delaysDuring(() => sleep(WATCH_MS));
  let next = entries;
  const evicting = await delaysDuring(async () => {
    const end = performance.now() + WATCH_MS;
    while (performance.now() < end) {
      for (let i = 0; i < CHURN_PER_TURN; i++, next++) await cache.set(keyOf(next), make(next), '1h');
      await sleep(1);
    }
  });
  const short = entries / 2;
  const endMs = Date.now() + EXPIRY_MS;
  for (let id = 0; id < short; id++) {
    await cache.set(`short:${id}`, make(id), `${Math.max(1, endMs - Date.now())}ms`);
  }
  usedBytes();
  const expiring = await delaysDuring(() => sleep(Math.max(0, endMs - Date.now()) + WATCH_MS));
  const left = await cache.getMany(['short:0', `short:${short - 1}`]);
  if (left.some((value) => value !== undefined)) throw new Error('Not all of them expired.');
  return { idle, evicting, expiring, evicted: next - entries, expired: short };
}

/** What it takes to invalidate a tag that all entries carry. */
async function invalidation(): Promise<Invalidation> {
  await cache.clear();
  usedBytes();
  const options = { ttl: '1h', tags: [TAG] } as const;
  const setNs = await eachNs(entries, (call) => cache.set(keyOf(call), make(call), options));
  if ((await cache.get(keyOf(1))) === undefined) throw new Error('The entry was not stored.');
  const ids = uniformIds();
  const hitNs = await fastestNs(CALLS, (call) => cache.getOrSet(keyOf(ids[call] ?? 0), fail, options));
  usedBytes();
  const start = performance.now();
  await cache.invalidateTags(TAG);
  const invalidateMs = performance.now() - start;
  for (const id of [0, entries >> 1, entries - 1]) {
    if ((await cache.get(keyOf(id))) !== undefined) throw new Error('An entry survived its tag.');
  }
  const clearStart = performance.now();
  await cache.clear();
  return { setNs, hitNs, invalidateMs, clearMs: performance.now() - clearStart };
}

async function eachNs(calls: number, run: (call: number) => unknown): Promise<number> {
  const start = performance.now();
  for (let call = 0; call < calls; call++) await run(call);
  return ((performance.now() - start) * 1e6) / calls;
}

async function fastestNs(calls: number, run: (call: number) => unknown): Promise<number> {
  let fastest = Infinity;
  for (let at = 0; at < RUNS; at++) fastest = Math.min(fastest, await eachNs(calls, run));
  return fastest;
}

function fail(): never {
  throw new Error('An entry is missing.');
}

/** Ids all over the place, so that neither the processor's caches nor the order of writing help. */
function uniformIds(): Int32Array {
  return Int32Array.from({ length: CALLS }, () => Math.floor(Math.random() * entries));
}

/** Ids by a Zipf law, those asked for often all over the place too. */
function zipfIds(): Int32Array {
  const rank = (): number => Math.floor(entries ** Math.random());
  return Int32Array.from({ length: CALLS }, () => (rank() * SCATTER) % entries);
}

async function delaysDuring(run: () => Promise<unknown>): Promise<{ p99Ms: number; maxMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await run();
  delay.disable();
  // The histogram has nanoseconds, and counts the resolution of one millisecond in.
  return { p99Ms: Math.max(0, delay.percentile(99) / 1e6 - 1), maxMs: Math.max(0, delay.max / 1e6 - 1) };
}

/** Bytes of the heap and of what lies beside it, after everything that nobody needs is gone. */
function usedBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function kindOf(name: string | undefined): ScaleKind {
  const found = SCALE_KINDS.find((other) => other === name);
  if (found === undefined) throw new Error(`There is no kind "${name}".`);
  return found;
}
