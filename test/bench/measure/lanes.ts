import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** How long, and how much at once. */
export interface Load {
  /** How many calls are under way at a time; each lane starts its next call when its last one was answered. */
  readonly concurrency: number;
  readonly durationMs: number;
}

/** What a run of calls came to. */
export interface Rate {
  readonly perSecond: number;
  /** The 99th percentile of the time a call took; absent where timing each call would cost more than the call. */
  readonly p99Ms?: number;
}

/** The most calls between two looks at the clock: many where a call takes less than a microsecond, few for slow ones. */
const MOST_CALLS_BETWEEN_LOOKS = 512;
const SHORT_BATCH_MS = 1;

/**
 * Calls `call` with 0, 1, 2, ... for the given time and answers how often a second. For calls that are answered within
 * this process: it looks at the clock once in a while.
 */
export async function rateOfShortCalls(
  { concurrency, durationMs }: Load,
  lane: (next: () => number | undefined) => Promise<void>,
): Promise<Rate> {
  let done = 0;
  const start = performance.now();
  let now = start;
  let batch = concurrency;
  while (now - start < durationMs) {
    const before = now;
    const until = done + batch;
    const next = (): number | undefined => (done < until ? done++ : undefined);
    if (concurrency === 1) await lane(next);
    else await Promise.all(Array.from({ length: concurrency }, () => lane(next)));
    now = performance.now();
    if (now - before < SHORT_BATCH_MS) batch = Math.min(batch * 2, MOST_CALLS_BETWEEN_LOOKS);
  }
  return { perSecond: (done * 1_000) / (now - start) };
}

/** The same for calls over a network, each of which is timed. */
export async function rateOfLongCalls(
  { concurrency, durationMs }: Load,
  call: (index: number) => Promise<void>,
): Promise<Rate> {
  const times = createHistogram();
  const start = performance.now();
  let started = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() - start < durationMs) await timed(times, () => call(started++));
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  const elapsedMs = performance.now() - start;
  return { perSecond: (times.count * 1_000) / elapsedMs, p99Ms: times.percentile(99) / 1e6 };
}

async function timed(times: RecordableHistogram, call: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await call();
  times.record(Math.max(1, Math.round((performance.now() - start) * 1e6)));
}
