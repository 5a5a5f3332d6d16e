import { Redis } from 'ioredis';
import { ContestantProcess, withProcesses } from '../measure/contestant-process.js';
import type { Question } from '../measure/contestant.process.js';
import { digits, plusMinus, short, times } from '../measure/format.js';
import type { Isolation, Scenario } from '../measure/get-or-set.js';
import { interleave } from '../measure/interleave.js';
import { HIT_RATIOS } from '../measure/keys.js';
import type { Rate } from '../measure/lanes.js';
import { SIZES } from '../measure/payload.js';
import { Samples } from '../measure/samples.js';
import { nameOf } from '../measure/scenario-name.js';
import { withServers } from '../measure/servers.js';
import { installedVersions } from '../measure/versions.js';
import type { Findings, Goal, Part, Section } from '../part.js';
import { LOADS_KEY, type LockQuestion } from './lock.js';

const BARE = 'ioredis + JSON.parse';
const KEYV = 'cache-manager on @keyv/redis';
const NAMES = ['cachekit', BARE, KEYV, 'bentocache', 'cachified'] as const;

/** The goals stand on hits of 60 B, so these have more rounds. */
const GOAL_ROUNDS = 9;
const ROUNDS = 3;
const DURATION_MS = 150;

const PROCESSES = 4;
const CALLS_EACH = 250;

const SCENARIOS = SIZES.flatMap((size) =>
  HIT_RATIOS.flatMap((hits) => [1, 64].map((concurrency): Scenario => ({ size, hits, concurrency }))),
);

/** `getOrSet` on Redis, beside the bare client and everybody who does something like it. */
export const REDIS: Part = {
  name: 'redis',
  measure: () =>
    withServers(async (servers) => measure(servers.address('redisUrl'), servers.describe('redis'))),
};

async function measure(url: string | undefined, server: string): Promise<Findings> {
  if (url === undefined) throw new Error(`There is no Redis. ${server}`);
  const samples = new Samples();
  const latencies = new Samples();
  const starting = NAMES.map((name) =>
    ContestantProcess.start(name, 'measure/contestant.process.js', ['redis', name, url]),
  );
  const isolations = await withProcesses(starting, async (contestants) => {
    await measureAll(samples, latencies, contestants);
    return Promise.all(
      contestants.map((contestant) => contestant.ask<Isolation>({ isolation: true } satisfies Question)),
    );
  });
  if (isolations.some((isolation) => isolation !== 'copies'))
    throw new Error('Not everybody hands out copies.');
  const loads = await loadsOfProcesses(url);
  return {
    sections: sections(samples, latencies, server, loads),
    goals: goals(samples, loads),
    versions: {
      server,
      ...installedVersions(['ioredis', '@keyv/redis', 'cache-manager', 'bentocache', '@epic-web/cachified']),
    },
  };
}

async function measureAll(
  samples: Samples,
  latencies: Samples,
  contestants: readonly ContestantProcess[],
): Promise<void> {
  for (const scenario of SCENARIOS) {
    await interleave({
      scenarios: [scenario],
      contestants,
      rounds: scenario.size === '60 B' && scenario.hits === 1 ? GOAL_ROUNDS : ROUNDS,
      measure: async (_, contestant, isWarmUp) => {
        const run = { ...scenario, durationMs: DURATION_MS, isRemote: true };
        const rate = await contestant.ask<Rate>({ run } satisfies Question);
        if (isWarmUp) return;
        samples.add(nameOf(scenario), contestant.name, rate.perSecond);
        latencies.add(nameOf(scenario), contestant.name, rate.p99Ms ?? Number.NaN);
      },
    });
  }
}

/** Four processes ask for the same missing entry at the same time, each 250 times, with `lock: true`. */
async function loadsOfProcesses(url: string): Promise<number> {
  const redis = new Redis(url);
  try {
    await redis.del(LOADS_KEY);
    const key = `locked:${Date.now()}`;
    const starting = Array.from({ length: PROCESSES }, (_, index) =>
      ContestantProcess.start(`process ${index + 1}`, 'redis/lock.process.js', [url]),
    );
    await withProcesses(starting, (processes) =>
      Promise.all(processes.map((one) => one.ask({ key, calls: CALLS_EACH } satisfies LockQuestion))),
    );
    return Number(await redis.get(LOADS_KEY));
  } finally {
    redis.disconnect();
  }
}

function sections(samples: Samples, latencies: Samples, server: string, loads: number): Section[] {
  const scenarios = SCENARIOS.map(nameOf);
  const hits = scenarios.filter((name) => name.startsWith('60 B, 100 %'));
  return [
    {
      title: 'getOrSet on Redis',
      text:
        `Calls a second on ${server} over loopback; every contestant has a process and a connection of its own, and ` +
        'hands out copies. *ioredis + JSON.parse* is the bare client with a hand-written get, and set with PX. ' +
        `${PROCESSES} processes with ${CALLS_EACH} callers each, who asked for the same missing entry with ` +
        `\`lock: true\`, made it load ${loads === 1 ? 'once' : `${loads} times`}.`,
      charts: [
        {
          name: 'redis-hits',
          title: 'getOrSet hits on Redis, 60 B',
          kind: 'bars',
          unit: 'calls a second',
          categories: NAMES,
          series: hits.map((scenario) => ({
            name: scenario.slice('60 B, 100 % hits, '.length),
            values: NAMES.map((name) => samples.median(scenario, name)),
          })),
        },
      ],
      table: {
        headings: ['calls/s', ...NAMES.flatMap((name) => [name, 'spread'])],
        rows: scenarios.map((scenario) => [
          scenario,
          ...NAMES.flatMap((name) => [
            short(samples.median(scenario, name)),
            plusMinus(samples.spread(scenario, name)),
          ]),
        ]),
      },
    },
    {
      title: 'getOrSet on Redis, the slowest of a hundred',
      text: 'Milliseconds within which 99 % of the calls were answered.',
      table: {
        headings: ['p99, ms', ...NAMES],
        rows: scenarios.map((scenario) => [
          scenario,
          ...NAMES.map((name) => digits(latencies.median(scenario, name))),
        ]),
      },
    },
  ];
}

function goals(samples: Samples, loads: number): Goal[] {
  const compare = (concurrency: number, other: string, atLeast: number): Goal => {
    const scenario = nameOf({ size: '60 B', hits: 1, concurrency });
    const ratio = samples.ratio(scenario, 'cachekit', other);
    const what = `getOrSet hit on Redis, 60 B, ${concurrency} at a time`;
    return { what, goal: `>= ${atLeast} x ${other}`, measured: times(ratio), isMet: ratio >= atLeast };
  };
  return [
    compare(1, BARE, 0.9),
    compare(64, BARE, 0.8),
    compare(64, KEYV, 1.25),
    compare(64, 'bentocache', 2),
    {
      what: `${PROCESSES} processes, ${CALLS_EACH} cold calls each, with lock`,
      goal: '1 load',
      measured: `${loads} load${loads === 1 ? '' : 's'}`,
      isMet: loads === 1,
    },
  ];
}
