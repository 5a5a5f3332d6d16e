/** The process of one number of entries: `scale.process.js <cachekit | lru-cache> <entries>`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { LRUCache } from 'lru-cache';
import { CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { answerQuestions } from '../measure/answer-questions.js';
import { itemsOf } from '../measure/payload.js';
import type { Churn, Costs, Invalidation, ScaleQuestion } from './scale.js';

const [kind, count = ''] = process.argv.slice(2);
const entries = Number(count);
const make = itemsOf('60 B');
const keyOf = (id: number): string => `item:${id}`;

/** So many calls show what one costs; every entry is touched only when it is stored. */
const CALLS = 300_000;
const KEYS_AT_ONCE = 1_000;
const TAG = 'all';
const EXPIRY_MS = 3_000;
const WATCH_MS = 3_000;
const CHURN_PER_TURN = 200;

const backend = new InMemoryBackend({ maxEntries: entries + 1_000, maxBytes: 16 * 1024 ** 3 });
const cache = new CacheService(backend);

answerQuestions<ScaleQuestion>(async (question) => {
  if (question === 'costs') return kind === 'cachekit' ? costs() : costsOfLru();
  return question === 'churn' ? churn() : invalidation();
});

async function costs(): Promise<Costs> {
  const before = usedBytes();
  const setNs = await eachNs(entries, (call) => cache.set(keyOf(call), make(call), '1h'));
  const bytesPerEntry = (usedBytes() - before) / entries;
  const ids = randomIds();
  // The same number of calls, compiled before they are measured.
  await eachNs(CALLS, (call) => cache.getOrSet(keyOf(ids[call] ?? 0), fail, '1h'));
  const getOrSetNs = await eachNs(CALLS, (call) => cache.getOrSet(keyOf(ids[call] ?? 0), fail, '1h'));
  const getNs = await eachNs(CALLS, (call) => cache.get(keyOf(ids[call] ?? 0)));
  const getManyNs = await eachNs(CALLS / KEYS_AT_ONCE, (call) => manyFrom(ids, call * KEYS_AT_ONCE));
  return { setNs, getNs, getOrSetNs, getManyMs: getManyNs / 1e6, bytesPerEntry };
}

async function manyFrom(ids: Int32Array, first: number): Promise<void> {
  const keys = Array.from(ids.subarray(first, first + KEYS_AT_ONCE), keyOf);
  const found = await cache.getMany(keys);
  if (found.length !== keys.length || found.includes(undefined)) throw new Error('An entry is missing.');
}

/** A bare map of the same size, with a string of JSON for each entry: what the memory of this machine costs. */
async function costsOfLru(): Promise<Costs> {
  const lru = new LRUCache<string, string>({ max: entries + 1_000 });
  const before = usedBytes();
  const setNs = await eachNs(entries, (call) => lru.set(keyOf(call), JSON.stringify(make(call))));
  const bytesPerEntry = (usedBytes() - before) / entries;
  const ids = randomIds();
  const get = (call: number): unknown => JSON.parse(lru.get(keyOf(ids[call] ?? 0)) ?? fail());
  await eachNs(CALLS, get);
  const getNs = await eachNs(CALLS, get);
  return { setNs, getNs, bytesPerEntry };
}

/** How long the event loop stood still while entries were evicted by new ones, and while a tenth of all expired. */
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
  const short = entries / 10;
  for (let id = 0; id < short; id++) await cache.set(`short:${id}`, make(id), `${EXPIRY_MS}ms`);
  usedBytes();
  const expiring = await delaysDuring(() => sleep(EXPIRY_MS + WATCH_MS));
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
  const ids = randomIds();
  const hitNs = await eachNs(CALLS, (call) => cache.getOrSet(keyOf(ids[call] ?? 0), fail, options));
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

function fail(): never {
  throw new Error('An entry is missing.');
}

/** Ids all over the place, so that neither the processor's caches nor the order of writing help. */
function randomIds(): Int32Array {
  return Int32Array.from({ length: CALLS }, () => Math.floor(Math.random() * entries));
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
