import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { binaryOnPath } from './binary-on-path.js';
import { debianProgram } from './debian-archive.js';
import { dockerImage } from './docker-image.js';
import { findFirst, type Found, type Step } from './find-first.js';
import { outputOf, type Program } from './program.js';
import type { Need } from './need.js';
import { ServerProcess, type Place } from './server-process.js';
import type { SetUp } from './set-up.js';
import { addFact, type Fact } from './tested-against.js';

const URL_VARIABLE = 'CACHEKIT_TEST_REDIS_URL';
const NEEDS_OF_OWN: readonly Need[] = ['redis process', 'redis cluster', 'redis sentinel'];

/** A program that runs Redis or Valkey. */
export interface RedisProgram extends Program {
  /** What it calls itself, such as "Redis 7.0.15". */
  readonly server: string;
}

/** Redis settings under the names of redis.conf, for instance `{ maxmemory: '2mb' }`. */
export type RedisConfig = Readonly<Record<string, string>>;

declare module 'vitest' {
  interface ProvidedContext {
    /** The Redis that all specs share, so use random keys. It is there inside `describeOn('redis', ...)`. */
    redisUrl: string;
    /** What runs a Redis of one's own. It is there inside `describeOn('redis process', ...)`. */
    redisProgram: RedisProgram;
  }
}

/**
 * Starts a Redis of one's own, which keeps nothing on disk, for tests that kill, freeze or configure it. Use it
 * inside `describeOn('redis process', ...)`, and `stop` it in an `afterAll`.
 *
 * @param config settings beyond those that every test server has; absent means none
 */
export async function startRedis(config: RedisConfig = {}): Promise<ServerProcess> {
  const program = inject('redisProgram');
  const started = performance.now();
  const server = await launchRedis(program, () => config);
  addRedisFact('redis process', started);
  return server;
}

/** Notes for the closing table that tests ran against a server made of processes of their own. */
export function addRedisFact(need: Need, started: number): void {
  const { server, foundBy } = inject('redisProgram');
  addFact(inject('testedAgainstFile'), { need, server, foundBy, readyMs: performance.now() - started });
}

/** Starts one Redis process with the settings that `config` makes of its place. */
export function launchRedis(
  program: RedisProgram,
  config: (place: Place) => RedisConfig,
): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'redis',
    program,
    args: (place) => toArgs({ ...settings(place), ...config(place) }),
    ready: /ready to accept connections/i,
    url: (port) => `redis://127.0.0.1:${port}`,
  });
}

function settings({ port, folder }: Place): RedisConfig {
  return { port: String(port), bind: '127.0.0.1', dir: folder, save: '', appendonly: 'no', daemonize: 'no' };
}

function toArgs(config: RedisConfig): string[] {
  return Object.entries(config).flatMap(([name, value]) => [`--${name}`, value]);
}

/** Connects to a Redis for the time that `use` takes. Rejects when it does not answer within five seconds. */
export async function withClient<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: 5_000, retryStrategy: () => null });
  // What it emits says why; what it rejects with is only that the connection is closed.
  let reason: unknown;
  client.on('error', (error) => (reason = error));
  try {
    await client.connect();
    return await use(client);
  } catch (error) {
    throw reason ?? error;
  } finally {
    client.disconnect();
  }
}

/** Finds or starts the Redis that all specs share, and finds the program that Redis processes of one's own run. */
export const setUpRedis: SetUp = async (provide) => {
  const started = performance.now();
  const [program, given] = await Promise.all([findRedisProgram(), findGivenRedis()]);
  const shared = given ? { found: given } : await startSharedRedis(program);

  const facts: Fact[] = [];
  if ('found' in shared) {
    const { url, server, foundBy } = shared.found;
    provide('redisUrl', url);
    facts.push({ need: 'redis', server, foundBy, readyMs: performance.now() - started });
  } else {
    facts.push({ need: 'redis', missing: shared.missing });
  }
  if ('found' in program) provide('redisProgram', program.found);
  else facts.push(...NEEDS_OF_OWN.map((need): Fact => ({ need, missing: program.missing })));
  return { facts, stop: async () => ('found' in shared ? shared.found.stop() : undefined) };
};

interface SharedRedis {
  readonly url: string;
  readonly server: string;
  readonly foundBy: string;
  readonly stop: () => Promise<void>;
}

/** The Redis that the user named. One that does not answer is an error, not a reason to take another. */
async function findGivenRedis(): Promise<SharedRedis | undefined> {
  const url = process.env[URL_VARIABLE];
  if (url === undefined || url === '') return undefined;
  const info = await withClient(url, (client) => client.info('server')).catch((error: unknown) => {
    throw new Error(
      `${URL_VARIABLE} is set, but its Redis does not answer. Start it, or unset the variable.`,
      {
        cause: error,
      },
    );
  });
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1];
  const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'of unknown version';
  const server = valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}`;
  return { url, server, foundBy: URL_VARIABLE, stop: () => Promise.resolve() };
}

async function startSharedRedis(program: Found<RedisProgram>): Promise<Found<SharedRedis>> {
  if ('missing' in program) return program;
  const { server, foundBy } = program.found;
  const start = async (): Promise<SharedRedis> => {
    const redis = await launchRedis(program.found, () => ({}));
    return { url: redis.url, server, foundBy, stop: () => redis.stop() };
  };
  return findFirst([{ place: foundBy, look: start }]);
}

function findRedisProgram(): Promise<Found<RedisProgram>> {
  const steps: Step<Program>[] = [
    { place: 'PATH', look: () => binaryOnPath(['redis-server', 'valkey-server']) },
    { place: 'Docker', look: () => dockerImage('redis:7', 'redis-server') },
    {
      place: 'Debian archive',
      look: () => debianProgram({ name: 'redis', packages: ['redis-server'] }, 'usr/bin/redis-server'),
    },
  ];
  return findFirst(steps.map(({ place, look }) => ({ place, look: async () => withVersion(await look()) })));
}

/** Asks the program for its version, which also shows that it runs here. */
async function withVersion(program: Program): Promise<RedisProgram> {
  const printed = await outputOf(program, ['--version']);
  const [, name, version] = /^(\w+) server v=(\S+)/.exec(printed) ?? [];
  if (name === undefined) throw new Error(`${program.file} --version prints "${printed.trim()}"`);
  return { ...program, server: `${name} ${version}` };
}
