import { ContestantProcess } from '../measure/contestant-process.js';
import { digits } from '../measure/format.js';
import { installedVersions } from '../measure/versions.js';
import type { Findings, Goal, Part, Section } from '../part.js';
import type { Churn, Costs, Delays, Invalidation, ScaleQuestion } from './scale.js';

const COUNTS = [10_000, 100_000, 1_000_000, 5_000_000];
const MILLION = 1_000_000;
const MOST_HEAP_MB = 12_288;

/** What many entries in memory cost. */
export const SCALE: Part = { name: 'scale', measure };

interface Measured {
  readonly count: number;
  readonly ours: Costs;
  readonly lru: Costs;
}

async function measure(): Promise<Findings> {
  const measured: Measured[] = [];
  for (const count of COUNTS.filter((other) => other !== MILLION)) {
    const [ours] = await ask<Costs>('cachekit', count, ['costs']);
    measured.push({ count, ours, lru: await costsOfLru(count) });
  }
  const questions: readonly ScaleQuestion[] = ['costs', 'churn', 'invalidation'];
  const [ours, churn, invalidation] = await ask<Costs, Churn, Invalidation>('cachekit', MILLION, questions);
  measured.push({ count: MILLION, ours, lru: await costsOfLru(MILLION) });
  measured.sort((one, other) => one.count - other.count);
  return {
    sections: [costsSection(measured), millionSection(churn, invalidation)],
    goals: goals(churn, invalidation),
    versions: installedVersions(['lru-cache']),
  };
}

async function costsOfLru(count: number): Promise<Costs> {
  const [costs] = await ask<Costs>('lru-cache', count, ['costs']);
  return costs;
}

/** Starts a process with so many entries, and asks it one thing after the other. */
async function ask<A, B = undefined, C = undefined>(
  kind: 'cachekit' | 'lru-cache',
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

function costsSection(measured: readonly Measured[]): Section {
  const counts = measured.map(({ count }) => count.toLocaleString('en'));
  const nanoseconds = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0));
  return {
    title: 'Many entries in memory',
    text:
      'Nanoseconds a call takes, for entries of 60 bytes, read in random order. Beside it lru-cache with a string of ' +
      'JSON for each entry, parsed when it is read: it shows what this machine takes for memory that is not in the ' +
      'caches of its processor. *Bytes an entry* are the heap and all that lies beside it, with key and payload.',
    charts: [
      {
        name: 'scale',
        title: 'Cost of a call with many entries in memory',
        kind: 'lines',
        unit: 'nanoseconds',
        categories: counts,
        series: [
          { name: 'getOrSet hit', values: measured.map(({ ours }) => ours.getOrSetNs) },
          { name: 'get', values: measured.map(({ ours }) => ours.getNs) },
          { name: 'set', values: measured.map(({ ours }) => ours.setNs) },
          { name: 'lru-cache + JSON.parse, get', values: measured.map(({ lru }) => lru.getNs) },
        ],
      },
    ],
    table: {
      headings: [
        'entries',
        'getOrSet hit, ns',
        'get, ns',
        'set, ns',
        'getMany(1,000), ms',
        'bytes an entry',
        'lru-cache: get, ns',
        'set, ns',
        'bytes an entry',
      ],
      rows: measured.map(({ ours, lru }, index) => [
        counts[index] ?? '',
        nanoseconds(ours.getOrSetNs),
        nanoseconds(ours.getNs),
        nanoseconds(ours.setNs),
        digits(ours.getManyMs ?? 0),
        ours.bytesPerEntry.toFixed(0),
        nanoseconds(lru.getNs),
        nanoseconds(lru.setNs),
        lru.bytesPerEntry.toFixed(0),
      ]),
    },
  };
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
