import { REMOTE_BACKENDS, type RemoteBackend } from '../../remote-backends.js';
import { ContestantProcess, withProcesses } from '../measure/contestant-process.js';
import { digits, plusMinus, short } from '../measure/format.js';
import { interleave } from '../measure/interleave.js';
import type { Rate } from '../measure/lanes.js';
import { Samples } from '../measure/samples.js';
import { type Servers, withServers } from '../measure/servers.js';
import { installedVersions } from '../measure/versions.js';
import type { Findings, Part, Section } from '../part.js';
import { type BackendAnswer, type BackendCall, type BackendQuestion, CALLS } from './contestant.js';

const ROUNDS = 3;
const DURATION_MS = 250;
const SLOW_MS = 2_500;

/** The packages that the backends and the bare clients share. */
const CLIENTS = ['ioredis', 'pg', 'memjs', 'mongodb', '@google-cloud/firestore', '@aws-sdk/client-dynamodb'];

interface Scenario {
  readonly call: BackendCall;
  readonly concurrency: number;
}

const SCENARIOS = CALLS.flatMap((call) => [1, 64].map((concurrency): Scenario => ({ call, concurrency })));

/** Every backend beside the bare client that it uses. */
export const BACKENDS: Part = { name: 'backends', measure: () => withServers(measure) };

async function measure(servers: Servers): Promise<Findings> {
  const versions: Record<string, string> = installedVersions(CLIENTS);
  const sections: Section[] = [];
  const charted: Charted[] = [];
  for (const backend of REMOTE_BACKENDS) {
    const address = servers.address(backend.provided);
    versions[backend.need] = servers.describe(backend.need);
    if (address === undefined) {
      console.log(`${backend.name} is not measured: ${servers.describe(backend.need)}`);
      continue;
    }
    console.log(`${backend.name} on ${servers.describe(backend.need)}`);
    const measured = await measureBackend(backend, address);
    sections.push(sectionOf(backend, servers.describe(backend.need), measured));
    charted.push({ backend, rates: measured.rates });
  }
  return { sections: [overview(charted), ...sections], goals: [], versions };
}

interface Charted {
  readonly backend: RemoteBackend;
  readonly rates: Samples;
}

/** What was measured of one backend and its bare client. */
interface Measured {
  readonly rates: Samples;
  readonly latencies: Samples;
  /** Scenarios that this server was too slow for, and what was said of it. */
  readonly outages: Map<string, string>;
}

async function measureBackend({ name }: RemoteBackend, address: string): Promise<Measured> {
  const measured: Measured = { rates: new Samples(), latencies: new Samples(), outages: new Map() };
  const starting = ['ours', 'bare'].map((side) =>
    ContestantProcess.start(side, 'backends/backend.process.js', [side, name, address]),
  );
  await withProcesses(starting, async (contestants) => {
    for (const scenario of SCENARIOS) await measureScenario(scenario, contestants, measured);
  });
  return measured;
}

async function measureScenario(
  scenario: Scenario,
  contestants: readonly ContestantProcess[],
  { rates, latencies, outages }: Measured,
): Promise<void> {
  const name = nameOf(scenario);
  const ask = async (contestant: ContestantProcess): Promise<Rate | undefined> => {
    const question: BackendQuestion = { ...scenario, durationMs: DURATION_MS };
    const answer = await contestant.ask<BackendAnswer>(question);
    if (!('outage' in answer)) return answer;
    outages.set(name, answer.outage);
    return undefined;
  };
  const start = performance.now();
  for (const contestant of contestants) await ask(contestant);
  // Emulators take seconds for 64 calls of 100 keys; what takes so long is measured once.
  const rounds = performance.now() - start > SLOW_MS ? 1 : ROUNDS;
  await interleave({
    scenarios: [scenario],
    contestants,
    rounds,
    measure: async (_, contestant, isWarmUp) => {
      if (isWarmUp || outages.has(name)) return;
      const rate = await ask(contestant);
      rates.add(name, contestant.name, rate?.perSecond ?? Number.NaN);
      latencies.add(name, contestant.name, rate?.p99Ms ?? Number.NaN);
    },
  });
}

function nameOf({ call, concurrency }: Scenario): string {
  return `${call}, ${concurrency} at a time`;
}

function overview(charted: readonly Charted[]): Section {
  const calls = ['get, 1 at a time', 'get, 64 at a time', 'getMany(100), 1 at a time', 'set, 64 at a time'];
  return {
    title: 'Backends beside their bare clients',
    text:
      'Each backend and the client below it, on the same server, by turns. The bare client does what an app would ' +
      'write by hand: JSON under a key, with a ttl; it has no `getOrSet`, so its `get` stands beside ours. 500 entries ' +
      'of 60 bytes. Servers are those of the tests: emulators and imitations are slower than what they stand for, and ' +
      'say only what the backend adds. One is as fast as the bare client.',
    charts: [
      {
        name: 'backends',
        title: 'Share of the bare client',
        kind: 'bars',
        unit: 'calls a second of the backend, per call a second of the bare client',
        categories: charted.map(({ backend }) => backend.name),
        series: calls.map((name) => ({
          name,
          values: charted.map(({ rates }) => rates.ratio(name, 'ours', 'bare')),
        })),
      },
    ],
  };
}

function sectionOf(
  { name }: RemoteBackend,
  server: string,
  { rates, latencies, outages }: Measured,
): Section {
  const tooSlow = [...outages].map(([scenario, outage]) => ` Not measured: ${scenario} (${outage})`).join('');
  return {
    title: name,
    text: `On ${server}.${tooSlow}`,
    table: {
      headings: ['', 'calls/s', 'spread', 'bare calls/s', 'spread', 'share', 'p99, ms', 'bare p99, ms'],
      rows: SCENARIOS.map(nameOf)
        .filter((scenario) => !outages.has(scenario))
        .map((scenario) => [
          scenario,
          short(rates.median(scenario, 'ours')),
          plusMinus(rates.spread(scenario, 'ours')),
          short(rates.median(scenario, 'bare')),
          plusMinus(rates.spread(scenario, 'bare')),
          rates.ratio(scenario, 'ours', 'bare').toFixed(2),
          digits(latencies.median(scenario, 'ours')),
          digits(latencies.median(scenario, 'bare')),
        ]),
    },
  };
}
