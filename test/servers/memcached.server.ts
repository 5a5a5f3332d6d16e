import { Server, Utils } from 'memjs';
import { inject } from 'vitest';
import { binaryOnPath } from './binary-on-path.js';
import { debianProgram } from './debian-archive.js';
import { dockerImage } from './docker-image.js';
import { findFirst, type Found, type Step } from './find-first.js';
import type { Need } from './need.js';
import { outputOf, type Program } from './program.js';
import { ServerProcess } from './server-process.js';
import type { SetUp } from './set-up.js';
import { addFact, type Fact } from './tested-against.js';

const URL_VARIABLE = 'CACHEKIT_TEST_MEMCACHED_URL';
const ANSWER_TIMEOUT_MS = 5_000;
const VERSION_OPCODE = 0x0b;

/** A program that runs memcached. */
export interface MemcachedProgram extends Program {
  /** What it calls itself, such as "memcached 1.6.18". */
  readonly server: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The memcached that all specs share, so use random keys. It is there inside `describeOn('memcached', ...)`. */
    memcachedUrl: string;
    /** What runs a memcached of one's own. It is there inside `describeOn('memcached process', ...)`. */
    memcachedProgram: MemcachedProgram;
  }
}

/**
 * Starts a memcached of one's own, for tests that kill, freeze or configure it. Use it inside
 * `describeOn('memcached process', ...)`, and `stop` it in an `afterAll`.
 *
 * @param args options of memcached beyond those that every test server has, for instance `['-I', '8m']`
 */
export async function startMemcached(args: readonly string[] = []): Promise<ServerProcess> {
  const program = inject('memcachedProgram');
  const started = performance.now();
  const server = await launchMemcached(program, args);
  addMemcachedFact('memcached process', program, started);
  return server;
}

/** Notes for the closing table that tests ran against a memcached of one's own. */
export function addMemcachedFact(need: Need, { server, foundBy }: MemcachedProgram, started: number): void {
  addFact(inject('testedAgainstFile'), { need, server, foundBy, readyMs: performance.now() - started });
}

/** Starts one memcached process. */
export function launchMemcached(program: Program, args: readonly string[]): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'memcached',
    program,
    args: ({ port }) => ['-l', '127.0.0.1', '-p', String(port), '-U', '0', ...args],
    url: (port) => `memcached://127.0.0.1:${port}`,
  });
}

/** Asks the program for its version, which also shows that it runs here. */
export async function withMemcachedVersion(program: Program): Promise<MemcachedProgram> {
  const printed = (await outputOf(program, ['--version'])).trim();
  if (!/^memcached \d/.test(printed)) throw new Error(`${program.file} --version prints "${printed}"`);
  return { ...program, server: printed };
}

/** Finds or starts the memcached that all specs share, and finds the program that processes of one's own run. */
export const setUpMemcached: SetUp = async (provide) => {
  const started = performance.now();
  const [program, given] = await Promise.all([findMemcachedProgram(), findGivenMemcached()]);
  const shared = given ? { found: given } : await startSharedMemcached(program);

  const facts: Fact[] = [];
  if ('found' in shared) {
    const { url, server, foundBy } = shared.found;
    provide('memcachedUrl', url);
    facts.push({ need: 'memcached', server, foundBy, readyMs: performance.now() - started });
  } else {
    facts.push({ need: 'memcached', missing: shared.missing });
  }
  if ('found' in program) provide('memcachedProgram', program.found);
  else facts.push({ need: 'memcached process', missing: program.missing });
  return { facts, stop: async () => ('found' in shared ? shared.found.stop() : undefined) };
};

interface SharedMemcached {
  readonly url: string;
  readonly server: string;
  readonly foundBy: string;
  readonly stop: () => Promise<void>;
}

/** The memcached that the user named. One that does not answer is an error, not a reason to take another. */
async function findGivenMemcached(): Promise<SharedMemcached | undefined> {
  const url = process.env[URL_VARIABLE];
  if (url === undefined || url === '') return undefined;
  const version = await versionOf(new URL(url)).catch((error: unknown) => {
    throw new Error(
      `${URL_VARIABLE} is set, but its memcached does not answer. Start it, or unset the variable.`,
      { cause: error },
    );
  });
  return { url, server: `memcached ${version}`, foundBy: URL_VARIABLE, stop: () => Promise.resolve() };
}

function versionOf({ hostname, port, username, password }: URL): Promise<string> {
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
  const server = new Server(hostname, Number(port || 11_211), user, secret);
  return new Promise<string>((resolve, reject) => {
    setTimeout(
      () => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)),
      ANSWER_TIMEOUT_MS,
    ).unref();
    server.onError(1, reject);
    server.onResponse(1, ({ val }) => resolve(val.toString()));
    server.write(Utils.makeRequestBuffer(VERSION_OPCODE, '', '', '', 1));
  }).finally(() => server.close());
}

async function startSharedMemcached(program: Found<MemcachedProgram>): Promise<Found<SharedMemcached>> {
  if ('missing' in program) return program;
  const { server, foundBy } = program.found;
  const start = async (): Promise<SharedMemcached> => {
    const memcached = await launchMemcached(program.found, []);
    return { url: memcached.url, server, foundBy, stop: () => memcached.stop() };
  };
  return findFirst([{ place: foundBy, look: start }]);
}

function findMemcachedProgram(): Promise<Found<MemcachedProgram>> {
  const steps: Step<Program>[] = [
    { place: 'PATH', look: () => binaryOnPath(['memcached']) },
    { place: 'Docker', look: () => dockerImage('memcached:1.6', 'memcached') },
    {
      place: 'Debian archive',
      look: () => debianProgram({ name: 'memcached', packages: ['memcached'] }, 'usr/bin/memcached'),
    },
  ];
  return findFirst(
    steps.map(({ place, look }) => ({ place, look: async () => withMemcachedVersion(await look()) })),
  );
}
