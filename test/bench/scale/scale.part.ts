import { ContestantProcess } from '../measure/contestant-process.js';
import { digits } from '../measure/format.js';
import { installedVersions } from '../measure/versions.js';
import type { Findings, Goal, Part, Section } from '../part.js';
import type { Churn, Costs, Delays, Invalidation, ScaleKind, ScaleQuestion } from './scale.js';
import { SCALE_KINDS } from './scale.js';

const COUNTS = [10_000, 100_000, 1_000_000, 5_000_000];
const MILLION = 1_000_000;
const MOST_HEAP_MB = 12_288;
/** By how much more the costs of a hit may grow than those of a map of the same size. */
const NOISE = 1.15;

/** What many entries in memory cost. */
export const SCALE: Part = { name: 'scale', measure };

interface Measured {
  readonly count: number;
  readonly costs: Readonly<Record<ScaleKind, Costs>>;
}

async function measure(): Promise<Findings> {
  const measured: Measured[] = [];
  for (const count of COUNTS) measured.push({ count, costs: await costsAt(count) });
  const questions: readonly ScaleQuestion[] = ['costs', 'churn', 'invalidation'];
  const [, churn, invalidation] = await ask<Costs, Churn, Invalidation>('cachekit', MILLION, questions);
  return {
    sections: [readSection(measured), memorySection(measured), millionSection(churn, invalidation)],
    goals: [...flatGoals(measured), ...goals(churn, invalidation)],
    versions: installedVersions(['lru-cache', 'cache-manager', 'keyv']),
  };
}

async function costsAt(count: number): Promise<Record<ScaleKind, Costs>> {
  const found: [ScaleKind, Costs][] = [];
  for (const kind of SCALE_KINDS) found.push([kind, (await ask<Costs>(kind, count, ['costs']))[0]]);
  return Object.fromEntries(found) as Record<ScaleKind, Costs>;
}

/** Starts a process with so many entries, and asks it one thing after the other. */
async function ask<A, B = undefined, C = undefined>(
  kind: ScaleKind,
  count: number,
  questions: readonly ScaleQuestion[],
): Promise<[A, B, C]> {
  const name = `${kind} with ${count} entries`;
  const nodeOptions = [`--max-old-space-size=${MOST_HEAP_MB}`];
  const contestant = await ContestantProcess.start(name, 'scale/scale.process.js', [kind, String(count)], {
    nodeOptions,
  });
  try {
    const answers: unknown[] = [];
    for (const question of questions) answers.push(await contestant.ask(question));
    return answers as [A, B, C];
  } finally {
    await contestant.stop();
  }
}

/** How a kind is named in the report. All hand out copies. */
const NAMES: Readonly<Record<ScaleKind, string>> = {
  cachekit: 'cachekit',
  Map: 'Map + JSON.parse',
  'lru-cache': 'lru-cache + JSON.parse',
  'cache-manager': 'cache-manager on Keyv',
};

const nanoseconds = (value: number): string => value.toFixed(0);
const countOf = ({ count }: Measured): string => count.toLocaleString('en');

function readSection(measured: readonly Measured[]): Section {
  const series = SCALE_KINDS.map((kind) => ({
    name: NAMES[kind],
    values: measured.map(({ costs }) => costs[kind].get.uniformNs),
  }));
  return {
    title: 'Reads with many entries in memory',
    text:
      'Nanoseconds a call of `get` takes, for entries of 60 bytes: *uniform*, each entry as often as any other, and ' +
      '*Zipf*, the one of rank k in proportion to 1/k. A Map and an lru-cache with a text for each entry, parsed when ' +
      'it is read, show what this machine takes for memory that is not in the caches of its processor: nothing that ' +
      'is looked up by a key can be flatter. The last column is the cost of a uniform hit against that of lru-cache.',
    charts: [
      {
        name: 'scale',
        title: 'Cost of a read with many entries in memory (uniform)',
        kind: 'lines',
        unit: 'nanoseconds',
        categories: measured.map(countOf),
        series: [
          ...series,
          {
            name: 'cachekit, getOrSet hit',
            values: measured.map(({ costs }) => costs.cachekit.getOrSet?.uniformNs),
          },
        ],
      },
    ],
    table: {
      headings: [
        'entries',
        ...SCALE_KINDS.flatMap((kind) => [`${NAMES[kind]}: uniform`, 'Zipf']),
        'getOrSet hit: uniform',
        'Zipf',
        'getMany(1,000), ms',
        'cachekit / lru-cache',
      ],
      rows: measured.map((at) => {
        const { getOrSet, getManyMs = 0 } = at.costs.cachekit;
        return [
          countOf(at),
          ...SCALE_KINDS.flatMap((kind) => {
            const { uniformNs, zipfNs } = at.costs[kind].get;
            return [nanoseconds(uniformNs), nanoseconds(zipfNs)];
          }),
          nanoseconds(getOrSet?.uniformNs ?? 0),
          nanoseconds(getOrSet?.zipfNs ?? 0),
          digits(getManyMs),
          digits(besideLru(at)),
        ];
      }),
    },
  };
}

function memorySection(measured: readonly Measured[]): Section {
  return {
    title: 'Writes and memory with many entries',
    text:
      'Nanoseconds a call of `set` takes while the store is filled, and the bytes that an entry takes then, on the ' +
      'heap and beside it, key and payload included; after the slash those it takes when it has been read.',
    table: {
      headings: ['entries', ...SCALE_KINDS.flatMap((kind) => [`${NAMES[kind]}: set, ns`, 'bytes an entry'])],
      rows: measured.map((at) => [
        countOf(at),
        ...SCALE_KINDS.flatMap((kind) => {
          const { setNs, bytesPerEntry, bytesPerReadEntry } = at.costs[kind];
          return [nanoseconds(setNs), `${bytesPerEntry.toFixed(0)} / ${bytesPerReadEntry.toFixed(0)}`];
        }),
      ]),
    },
  };
}

function besideLru({ costs }: Measured): number {
  return costs.cachekit.get.uniformNs / costs['lru-cache'].get.uniformNs;
}

function flatGoals(measured: readonly Measured[]): Goal[] {
  const [fewest, most] = [measured[0], measured.at(-1)];
  if (fewest === undefined || most === undefined) return [];
  const [atFirst, atLast] = [besideLru(fewest), besideLru(most)];
  return [
    {
      what: `a hit with ${countOf(most)} entries, against lru-cache + JSON.parse with as many`,
      goal: `no worse than with ${countOf(fewest)}`,
      measured: `${digits(atLast)} x (with ${countOf(fewest)}: ${digits(atFirst)} x)`,
      isMet: atLast <= atFirst * NOISE,
    },
  ];
}

function millionSection(churn: Churn, { setNs, hitNs, invalidateMs, clearMs }: Invalidation): Section {
  const delays = (what: string, { p99Ms, maxMs }: Delays): string[] => [what, digits(p99Ms), digits(maxMs)];
  return {
    title: 'A million entries in memory',
    text:
      'How long the event loop stood still, in milliseconds; the first line is what this machine does to a process that ' +
      `does nothing. With a tag that all entries carry: \`set\` takes ${setNs.toFixed(0)} ns, a hit ${hitNs.toFixed(0)} ns, ` +
      `\`invalidateTags\` ${digits(invalidateMs)} ms, \`clear\` ${digits(clearMs)} ms.`,
    table: {
      headings: ['event loop', 'p99, ms', 'longest, ms'],
      rows: [
        delays('nothing to do', churn.idle),
        delays(`${churn.evicted.toLocaleString('en')} written and as many evicted`, churn.evicting),
        delays(`${churn.expired.toLocaleString('en')} expire`, churn.expiring),
      ],
    },
  };
}

function goals({ idle, expiring }: Churn, { invalidateMs }: Invalidation): Goal[] {
  const tag = 'invalidating a tag that 1,000,000 entries carry';
  return [
    { what: tag, goal: '< 1 ms', measured: `${digits(invalidateMs)} ms`, isMet: invalidateMs < 1 },
    {
      what: 'longest pause of the event loop while entries expire',
      goal: '<= 10 ms',
      measured: `${digits(expiring.maxMs)} ms (idle: ${digits(idle.maxMs)} ms)`,
      isMet: expiring.maxMs <= 10,
    },
  ];
}
