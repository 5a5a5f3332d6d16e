import { Agent, get } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { CAN_PIN } from '../measure/cores.js';
import { digits, plusMinus, short, times } from '../measure/format.js';
import { interleave } from '../measure/interleave.js';
import { itemsOf, type Size, SIZES } from '../measure/payload.js';
import { Samples } from '../measure/samples.js';
import { installedVersions } from '../measure/versions.js';
import type { Findings, Goal, Part, Section } from '../part.js';
import { type Adapter, ADAPTERS, type App, type Kind, KINDS, startApp } from './app.js';
import { findLoadGenerator, type LoadGenerator } from './load-generator.js';

const ROUNDS = 3;
const CONNECTIONS = 32;
const STAMPEDE = 1_000;

/** What is asked for: which app, which route, and over how many connections. */
interface Target {
  readonly kind: Kind;
  readonly route: 'items' | 'uncached';
  /** The contestant's name in the report. */
  readonly name: string;
}

const TARGETS: readonly Target[] = [
  ...KINDS.map((kind): Target => ({ kind, route: 'items', name: titleOf(kind) })),
  { kind: 'cachekit', route: 'uncached', name: 'route without @Cached' },
];

function titleOf(kind: Kind): string {
  const names: Readonly<Record<Kind, string>> = {
    uncached: 'no cache',
    cachekit: 'cachekit',
    'cache-manager': 'CacheInterceptor',
    constant: 'constant string',
  };
  return names[kind];
}

interface Scenario {
  readonly adapter: Adapter;
  readonly size: Size;
  readonly connections: number;
}

const SCENARIOS: readonly Scenario[] = ADAPTERS.flatMap((adapter) => [
  ...SIZES.map((size) => ({ adapter, size, connections: CONNECTIONS })),
  { adapter, size: '60 B', connections: 1 },
]);

/** Hits over HTTP, beside the same route without a cache, Nest's own CacheInterceptor, and what Nest allows at most. */
export const HTTP: Part = { name: 'http', measure };

async function measure(): Promise<Findings> {
  const generator = await findLoadGenerator();
  const settled = await Promise.allSettled(
    ADAPTERS.flatMap((adapter) => KINDS.map((kind) => startApp(adapter, kind))),
  );
  const apps = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  try {
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return await measureApps(apps, generator);
  } finally {
    await Promise.all(apps.map((app) => app.process.stop()));
  }
}

async function measureApps(apps: readonly App[], generator: LoadGenerator): Promise<Findings> {
  const samples = new Samples();
  const latencies = new Samples();
  await prepare(apps);
  const runsBefore = await runsOf(apps);
  const warm = new Set<string>();
  await interleave({
    scenarios: SCENARIOS,
    contestants: TARGETS,
    rounds: ROUNDS,
    measure: async (scenario, { kind, route, name }, isWarmUp) => {
      const { url } = appOf(apps, scenario.adapter, kind);
      const address = `${url}/${route}/${SIZES.indexOf(scenario.size)}`;
      // A second of requests of whatever size compiles all that a route runs.
      if (isWarmUp && warm.has(`${scenario.adapter} ${name}`)) return;
      const rate = await generator.rate(address, scenario.connections, 1);
      warm.add(`${scenario.adapter} ${name}`);
      if (isWarmUp) return;
      samples.add(nameOf(scenario), name, rate.perSecond);
      latencies.add(nameOf(scenario), name, rate.p99Ms ?? Number.NaN);
    },
  });
  await checkHits(apps, runsBefore);
  const loads = await stampedes(apps);
  return {
    sections: sections(samples, latencies, loads, generator),
    goals: [...ADAPTERS.flatMap((adapter) => goals(samples, adapter)), stampedeGoal(loads)],
    versions: installedVersions([
      '@nestjs/core',
      '@nestjs/platform-fastify',
      '@nestjs/platform-express',
      '@nestjs/cache-manager',
    ]),
  };
}

function nameOf({ adapter, size, connections }: Scenario): string {
  return `${adapter}, ${size}, ${connections} at a time`;
}

function appOf(apps: readonly App[], adapter: Adapter, kind: Kind): App {
  const app = apps.find((candidate) => candidate.adapter === adapter && candidate.kind === kind);
  if (app === undefined) throw new Error(`The app ${kind} on ${adapter} is not there.`);
  return app;
}

/** Fills the caches, checks every answer, and tells the constant apps which headers a hit has. */
async function prepare(apps: readonly App[]): Promise<void> {
  for (const adapter of ADAPTERS) {
    const cached = appOf(apps, adapter, 'cachekit');
    await answerTo(`${cached.url}/items/0`);
    const { headers } = await answerTo(`${cached.url}/items/0`);
    await appOf(apps, adapter, 'constant').process.ask({ headers: ownHeaders(headers) });
  }
  for (const app of apps) {
    for (const [index, size] of SIZES.entries()) {
      for (let attempt = 0; attempt < 2; attempt++) {
        const { body } = await answerTo(`${app.url}/items/${index}`);
        if (!isDeepStrictEqual(JSON.parse(body), itemsOf(size)(1)))
          throw new Error(`${app.process.name} answers ${body}`);
      }
    }
  }
}

/** Without those that Node and Nest's adapters send by themselves. */
function ownHeaders(headers: Headers): Record<string, string> {
  const foreign = new Set([
    'connection',
    'keep-alive',
    'date',
    'content-length',
    'x-powered-by',
    'transfer-encoding',
  ]);
  return Object.fromEntries([...headers].filter(([name]) => !foreign.has(name)));
}

async function answerTo(url: string): Promise<{ body: string; headers: Headers }> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return { body: await response.text(), headers: response.headers };
}

async function runsOf(apps: readonly App[]): Promise<Map<App, number>> {
  const runs = new Map<App, number>();
  for (const app of apps) runs.set(app, await app.process.ask<number>('runs'));
  return runs;
}

/** What was measured as hits were hits: no handler of CacheInterceptor ran, and ours says so itself. */
async function checkHits(apps: readonly App[], before: ReadonlyMap<App, number>): Promise<void> {
  const now = await runsOf(apps);
  for (const app of apps) {
    if (app.kind === 'cache-manager' || app.kind === 'constant') {
      if (now.get(app) !== before.get(app)) throw new Error(`${app.process.name} ran its handler.`);
    }
    if (app.kind !== 'cachekit') continue;
    for (const index of SIZES.keys()) {
      const status = (await answerTo(`${app.url}/items/${index}`)).headers.get('cache-status');
      if (status?.includes('; hit') !== true)
        throw new Error(`${app.process.name} answers ${String(status)}`);
    }
  }
}

/** How often the handler ran when so many requests came at once. */
async function stampedes(apps: readonly App[]): Promise<Map<App, number>> {
  const loads = new Map<App, number>();
  for (const app of apps.filter(({ kind }) => kind === 'cachekit' || kind === 'cache-manager')) {
    const before = await app.process.ask<number>('runs');
    const agent = new Agent({ maxSockets: STAMPEDE });
    const codes = await Promise.all(
      Array.from({ length: STAMPEDE }, () => statusOf(`${app.url}/slow`, agent)),
    );
    agent.destroy();
    if (codes.some((code) => code !== 200)) throw new Error(`${app.process.name} did not answer all.`);
    loads.set(app, (await app.process.ask<number>('runs')) - before);
  }
  return loads;
}

function statusOf(url: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
    });
    request.once('error', reject);
  });
}

function sections(
  samples: Samples,
  latencies: Samples,
  loads: ReadonlyMap<App, number>,
  generator: LoadGenerator,
): Section[] {
  const names = TARGETS.map(({ name }) => name);
  const cores = CAN_PIN
    ? 'The app has one core and the load generator another one.'
    : 'They share the cores.';
  const stampede = [...loads].map(([app, count]) => `${app.process.name} ${count}`).join(', ');
  return [
    {
      title: 'Hits over HTTP',
      text:
        `Requests a second, asked by ${generator.name} over keep-alive connections, one second a round. ${cores} ` +
        '*Constant string* is an interceptor that sets the headers of a hit and answers a string that it has ready: ' +
        'the most that Nest allows. *Route without @Cached* is an uncached route in an app that has the module. ' +
        `Handlers run by ${STAMPEDE.toLocaleString('en')} requests at once for an answer that takes 200 ms: ${stampede}.`,
      charts: ADAPTERS.map((adapter) => ({
        name: `http-${adapter}`,
        title: `Hits over HTTP, ${adapter}, ${CONNECTIONS} connections`,
        kind: 'bars',
        unit: 'requests a second',
        categories: names,
        series: SIZES.map((size) => ({
          name: size,
          values: names.map((name) =>
            samples.median(nameOf({ adapter, size, connections: CONNECTIONS }), name),
          ),
        })),
      })),
      table: {
        headings: ['requests/s', ...names.flatMap((name) => [name, 'spread'])],
        rows: SCENARIOS.map(nameOf).map((scenario) => [
          scenario,
          ...names.flatMap((name) => [
            short(samples.median(scenario, name)),
            plusMinus(samples.spread(scenario, name)),
          ]),
        ]),
      },
    },
    {
      title: 'Hits over HTTP, the slowest of a hundred',
      text: 'Milliseconds within which 99 % of the requests were answered.',
      table: {
        headings: ['p99, ms', ...names],
        rows: SCENARIOS.map(nameOf).map((scenario) => [
          scenario,
          ...names.map((name) => digits(latencies.median(scenario, name))),
        ]),
      },
    },
  ];
}

function goals(samples: Samples, adapter: Adapter): Goal[] {
  const scenario = (size: Size): string => nameOf({ adapter, size, connections: CONNECTIONS });
  const compare = (what: string, size: Size, name: string, other: string, atLeast: number): Goal => {
    const ratio = samples.ratio(scenario(size), name, other);
    const goal = `>= ${atLeast} x ${other}`;
    return { what: `${what}, ${adapter}`, goal, measured: times(ratio), isMet: ratio >= atLeast };
  };
  const isFastify = adapter === 'fastify';
  return [
    compare('HTTP hit, 58 KB', '58 KB', 'cachekit', 'CacheInterceptor', isFastify ? 3.5 : 2.3),
    compare('HTTP hit, 58 KB', '58 KB', 'cachekit', 'no cache', isFastify ? 3.3 : 2.2),
    ...SIZES.map((size) => compare(`HTTP hit, ${size}`, size, 'cachekit', 'constant string', 0.9)),
    compare('HTTP hit, 60 B', '60 B', 'cachekit', 'CacheInterceptor', isFastify ? 1.05 : 1.15),
    compare('route without @Cached, 60 B', '60 B', 'route without @Cached', 'no cache', 0.97),
  ];
}

function stampedeGoal(loads: ReadonlyMap<App, number>): Goal {
  const ours = [...loads].filter(([app]) => app.kind === 'cachekit').map(([, count]) => count);
  const what = '1,000 concurrent cold requests over HTTP';
  return {
    what,
    goal: '1 load',
    measured: `${Math.max(...ours)} load`,
    isMet: ours.every((count) => count === 1),
  };
}
