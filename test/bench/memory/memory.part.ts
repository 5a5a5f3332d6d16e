import { ContestantProcess, withProcesses } from '../measure/contestant-process.js';
import type { Question } from '../measure/contestant.process.js';
import { digits, plusMinus, short, times } from '../measure/format.js';
import type { Isolation, Scenario } from '../measure/get-or-set.js';
import { interleave } from '../measure/interleave.js';
import { HIT_RATIOS } from '../measure/keys.js';
import type { Rate } from '../measure/lanes.js';
import { SIZES } from '../measure/payload.js';
import { Samples } from '../measure/samples.js';
import { installedVersions } from '../measure/versions.js';
import type { Findings, Goal, Part, Section } from '../part.js';
import { nameOf } from '../measure/scenario-name.js';

const NAMES = [
  'cachekit',
  'cachekit, isolate: false',
  '@nestjs/cache-manager',
  'cache-manager on Keyv',
  'bentocache',
  'cacheable',
  'cachified',
  'lru-cache, await get',
  'lru-cache + JSON.parse',
] as const;

/** What only stands there to compare with: it has no single flight, no tags, no namespaces. */
const BARE: readonly string[] = ['lru-cache, await get', 'lru-cache + JSON.parse'];
const OURS: readonly string[] = ['cachekit', 'cachekit, isolate: false'];
const RIVALS = NAMES.filter((name) => !OURS.includes(name) && !BARE.includes(name));

const STAMPEDE = 1_000;

/** The goals stand on this one, so it has more rounds. */
const GOAL_SCENARIO: Scenario = { size: '60 B', hits: 1, concurrency: 1 };
const GOAL_ROUNDS = 11;
const ROUNDS = 5;

const SCENARIOS = SIZES.flatMap((size) =>
  HIT_RATIOS.flatMap((hits) => [1, 64].map((concurrency): Scenario => ({ size, hits, concurrency }))),
);

/** `getOrSet` in the memory of the process, beside everybody who does something like it. */
export const MEMORY: Part = { name: 'memory', measure };

async function measure(): Promise<Findings> {
  const starting = NAMES.map((name) =>
    ContestantProcess.start(name, 'measure/contestant.process.js', ['memory', name]),
  );
  return withProcesses(starting, async (contestants) => {
    const samples = new Samples();
    await measureAll(samples, contestants);
    const isolations = await askEach<Isolation>(contestants, { isolation: true });
    const loads = await askEach<number>(contestants, { stampede: STAMPEDE });
    return {
      sections: sections(samples, isolations, loads),
      goals: goals(samples, isolations),
      versions: installedVersions([
        '@nestjs/cache-manager',
        'cache-manager',
        'keyv',
        'bentocache',
        'cacheable',
        '@epic-web/cachified',
        'lru-cache',
      ]),
    };
  });
}

async function measureAll(samples: Samples, contestants: readonly ContestantProcess[]): Promise<void> {
  for (const scenario of SCENARIOS) {
    const isGoal = nameOf(scenario) === nameOf(GOAL_SCENARIO);
    await interleave({
      scenarios: [scenario],
      contestants,
      rounds: isGoal ? GOAL_ROUNDS : ROUNDS,
      measure: async (_, contestant, isWarmUp) => {
        const durationMs = isWarmUp ? (isGoal ? 500 : 60) : isGoal ? 150 : 50;
        const question: Question = { run: { ...scenario, durationMs, isRemote: false } };
        const { perSecond } = await contestant.ask<Rate>(question);
        if (!isWarmUp) samples.add(nameOf(scenario), contestant.name, perSecond);
      },
    });
  }
}

async function askEach<T>(
  contestants: readonly ContestantProcess[],
  question: Question,
): Promise<Map<string, T>> {
  const answers = new Map<string, T>();
  for (const contestant of contestants) answers.set(contestant.name, await contestant.ask<T>(question));
  return answers;
}

function sections(
  samples: Samples,
  isolations: ReadonlyMap<string, Isolation>,
  loads: ReadonlyMap<string, number>,
): Section[] {
  const overview: Section = {
    title: 'getOrSet in memory',
    text:
      'Each contestant has a process of its own and the same entries: 1,000 (100 of 58 KB) with a ttl of one hour. ' +
      '*Callers get* is what was found by changing an answer and asking again: copies of their own, or references to ' +
      `one object that they share. *Loads* is how often ${STAMPEDE.toLocaleString('en')} callers at once, who all miss, ` +
      'made the value load. The lines of lru-cache are what a plain map costs; it has none of the rest.',
    table: {
      headings: ['', 'callers get', 'hits/s, 60 B', 'spread', 'hits/s, 2 KB', 'hits/s, 58 KB', 'loads'],
      rows: NAMES.map((name) => [
        name,
        isolations.get(name) ?? '',
        short(samples.median('60 B, 100 % hits, 1 at a time', name)),
        plusMinus(samples.spread('60 B, 100 % hits, 1 at a time', name)),
        short(samples.median('2 KB, 100 % hits, 1 at a time', name)),
        short(samples.median('58 KB, 100 % hits, 1 at a time', name)),
        String(loads.get(name)),
      ]),
    },
    charts: [
      {
        name: 'memory-hits',
        title: 'getOrSet hits in memory, 60 B, one at a time',
        kind: 'bars',
        unit: 'million calls a second',
        categories: NAMES,
        series: [
          {
            name: '60 B',
            values: NAMES.map((name) => samples.median('60 B, 100 % hits, 1 at a time', name) / 1e6),
          },
        ],
      },
    ],
  };
  const every: Section = {
    title: 'getOrSet in memory, every size and hit ratio',
    text:
      'Thousands of calls a second. 90 %: nine of ten calls ask for a stored entry, by a Zipf law, and each tenth for ' +
      'a new one, which is loaded and stored. 0 %: every call loads and stores.',
    table: {
      headings: ['', ...NAMES],
      rows: SCENARIOS.map((scenario) => [
        nameOf(scenario),
        ...NAMES.map((name) => digits(samples.median(nameOf(scenario), name) / 1e3)),
      ]),
    },
  };
  return [overview, every];
}

function goals(samples: Samples, isolations: ReadonlyMap<string, Isolation>): Goal[] {
  const scenario = nameOf(GOAL_SCENARIO);
  const isolating = RIVALS.filter((name) => isolations.get(name) === 'copies');
  const fastest = (names: readonly string[]): string =>
    names.reduce((best, name) =>
      samples.median(scenario, name) > samples.median(scenario, best) ? name : best,
    );
  const compare = (what: string, ours: string, rival: string, atLeast: number, of: string): Goal => {
    const ratio = samples.ratio(scenario, ours, rival);
    return {
      what,
      goal: `>= ${atLeast} x ${of}`,
      measured: `${times(ratio)} ${rival}`,
      isMet: ratio >= atLeast,
    };
  };
  const copy = 'getOrSet hit, memory, 60 B, isolated copy';
  const shared = 'getOrSet hit, memory, 60 B, isolate: false';
  return [
    compare(copy, 'cachekit', fastest(isolating), 4, 'the fastest rival that isolates'),
    compare(copy, 'cachekit', fastest(RIVALS), 1.5, 'any rival'),
    compare(shared, 'cachekit, isolate: false', fastest(RIVALS), 4, 'any rival'),
    compare(shared, 'cachekit, isolate: false', 'lru-cache, await get', 0.3, 'a bare await lru.get'),
  ];
}
