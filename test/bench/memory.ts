/** Prints what a million entries in memory cost: bytes, time, and the longest pause while many of them expire. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { CacheService, InMemoryBackend } from 'nestjs-cachekit';

const ENTRIES = 1_000_000;
const EXPIRING = 100_000;
const EXPIRY_MS = 3_000;
const WATCH_MS = 6_000;

interface Place {
  readonly id: number;
  readonly name: string;
  readonly country: string;
}

/** About 60 bytes of JSON. */
function place(id: number): Place {
  return { id, name: `Place number ${id}`, country: 'CH' };
}

const keyOf = (id: number): string => `place:${id}`;

/** Bytes of the heap and of what lies beside it, after everything that nobody needs is gone. */
function usedBytes(): number {
  if (globalThis.gc === undefined)
    throw new Error('Run this with node --expose-gc (npm run bench:memory does).');
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function timed(name: string, operations: number, run: () => Promise<void> | void): Promise<void> {
  const start = performance.now();
  await run();
  const ms = performance.now() - start;
  console.log(`${name.padEnd(52)} ${((ms * 1_000) / operations).toFixed(2).padStart(8)} µs`);
}

async function longestPauseMs(durationMs: number): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
  delay.disable();
  // The histogram has nanoseconds, and counts the resolution of one millisecond in.
  return Math.max(0, delay.max / 1e6 - 1);
}

async function backendAlone(): Promise<void> {
  const payload = Buffer.from(JSON.stringify(place(123_456)));
  const keys = Array.from({ length: ENTRIES }, (_, id) => keyOf(id));
  const before = usedBytes();
  const backend = new InMemoryBackend({ maxEntries: ENTRIES + EXPIRING, maxBytes: 4 * 1024 ** 3 });
  await timed(
    `backend.set, ${ENTRIES.toLocaleString('en')} entries of ${payload.byteLength} bytes`,
    ENTRIES,
    () => {
      for (const key of keys) backend.set(key, payload, 3_600_000);
    },
  );
  await timed('backend.get', ENTRIES, () => {
    for (const key of keys) backend.get(key);
  });
  const perEntry = (usedBytes() - before) / ENTRIES - payload.byteLength;
  console.log(`${'bytes an entry above payload and key'.padEnd(52)} ${perEntry.toFixed(0).padStart(8)}`);
  await timed('backend.clear, a million entries (whole call)', 1, () => backend.clear());
  await backend.close();
}

async function throughService(): Promise<void> {
  const backend = new InMemoryBackend({ maxEntries: ENTRIES + EXPIRING, maxBytes: 4 * 1024 ** 3 });
  const cache = new CacheService(backend);
  await timed('CacheService.set', ENTRIES, async () => {
    for (let id = 0; id < ENTRIES; id++) await cache.set(keyOf(id), place(id), '1h');
  });
  await timed('CacheService.get', ENTRIES, async () => {
    for (let id = 0; id < ENTRIES; id++) await cache.get(keyOf(id));
  });
  await timed('CacheService.getOrSet, hit', ENTRIES, async () => {
    for (let id = 0; id < ENTRIES; id++) await cache.getOrSet(keyOf(id), () => place(id), '1h');
  });

  usedBytes();
  const idle = await longestPauseMs(WATCH_MS / 2);
  for (let id = 0; id < EXPIRING; id++) await cache.set(`short:${id}`, place(id), `${EXPIRY_MS}ms`);
  usedBytes();
  const expiring = await longestPauseMs(WATCH_MS);
  const left = (await cache.getMany(['short:0', `short:${EXPIRING - 1}`])).filter(
    (value) => value !== undefined,
  );
  console.log(`${'longest pause of the event loop, idle'.padEnd(52)} ${idle.toFixed(1).padStart(8)} ms`);
  console.log(
    `${`the same while ${EXPIRING.toLocaleString('en')} of a million expire`.padEnd(52)} ${expiring.toFixed(1).padStart(8)} ms`,
  );
  console.log(`${'of these still readable'.padEnd(52)} ${String(left.length).padStart(8)}`);
  await backend.close();
}

async function main(): Promise<void> {
  console.log(`Node ${process.version}, ${process.platform} ${process.arch}`);
  await backendAlone();
  await throughService();
}

await main();
