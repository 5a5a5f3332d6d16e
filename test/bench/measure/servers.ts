import { SET_UPS } from '../../servers/global-setup.js';
import type { Need } from '../../servers/need.js';
import type { Fact } from '../../servers/tested-against.js';

/** The servers of the tests, found or started for the benchmark. */
export interface Servers {
  /** What the tests provide under this name, such as `redisUrl`; `undefined` where the server is missing. */
  readonly address: (provided: string) => string | undefined;
  /** "Redis 7.0.15", or why it is missing. */
  readonly describe: (need: Need) => string;
}

/** Finds or starts them with the test harness's own means, runs `use`, and stops what was started. */
export async function withServers<T>(use: (servers: Servers) => Promise<T>): Promise<T> {
  const provided = new Map<string, unknown>();
  const started = await Promise.all(
    SET_UPS.map((setUp) => setUp((name, value) => provided.set(name, value))),
  );
  const facts = started.flatMap((server) => server.facts);
  const address = (name: string): string | undefined => {
    const value = provided.get(name);
    return typeof value === 'string' ? value : undefined;
  };
  try {
    return await use({ address, describe: (need) => describe(facts, need) });
  } finally {
    await Promise.all(started.map(({ stop }) => stop()));
  }
}

function describe(facts: readonly Fact[], need: Need): string {
  for (const fact of facts) {
    if (fact.need !== need) continue;
    if ('server' in fact) return fact.server;
    if ('missing' in fact) return `missing: ${fact.missing.join('; ')}`;
  }
  return 'missing';
}
