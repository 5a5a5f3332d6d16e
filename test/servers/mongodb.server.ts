import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { inject } from 'vitest';
import { binaryOnPath } from './binary-on-path.js';
import { cacheFolder } from './debian-archive.js';
import { dockerImage } from './docker-image.js';
import { startDocumentdb } from './documentdb/documentdb.js';
import { findFirst, type Found, type Step } from './find-first.js';
import { outputOf, type Program } from './program.js';
import { ServerProcess, type Place } from './server-process.js';
import type { SetUp } from './set-up.js';
import { addFact, type Fact } from './tested-against.js';

const URL_VARIABLE = 'CACHEKIT_TEST_MONGODB_URL';

/** Where mongodb-memory-server gets mongod from. Without a route there it would try for seven seconds. */
const DOWNLOAD_HOST = 'fastdl.mongodb.org';
const LOOKUP_TIMEOUT_MS = 1_500;

const NOT_SHOWN_ALONE = 'elections, and write concerns over several members (it is no replica set)';
const NOT_SHOWN_WITHOUT_MONGOD = `mongod itself and its TTL thread (the engine has its own), collations, ${NOT_SHOWN_ALONE}`;

/** A program that runs mongod, or a gateway that takes its arguments. */
export interface MongodbProgram extends Program {
  /** What it calls itself, such as "MongoDB 8.0.4". */
  readonly server: string;
  /** What can't be tested against it. */
  readonly notShown: string;
}

/** Switches of mongod beyond those that every test server has, for instance `--auth`. */
export type MongodbSwitches = readonly string[];

declare module 'vitest' {
  interface ProvidedContext {
    /** The MongoDB that all specs share, so use random names. It is there inside `describeOn('mongodb', ...)`. */
    mongodbUrl: string;
    /** What runs a MongoDB of one's own. It is there inside `describeOn('mongodb process', ...)`. */
    mongodbProgram: MongodbProgram;
  }
}

/**
 * Starts a MongoDB of one's own, for tests that kill, freeze or configure it. It removes expired documents once a second.
 * Use it inside `describeOn('mongodb process', ...)`, and `stop` it in an `afterAll`. Where it is a gateway, its data are
 * those of the shared one's engine, so use random names here too.
 *
 * @param switches absent means none
 */
export async function startMongodb(switches: MongodbSwitches = []): Promise<ServerProcess> {
  const program = inject('mongodbProgram');
  const started = performance.now();
  const process = await launchMongodb(program, switches);
  const { server, foundBy, notShown } = program;
  const file = inject('testedAgainstFile');
  addFact(file, { need: 'mongodb process', server, foundBy, readyMs: performance.now() - started });
  addFact(file, { need: 'mongodb process', notShown });
  return process;
}

/**
 * Connects to a MongoDB for the time that `use` takes. Rejects when it does not answer in time.
 *
 * @param answerWithinMs absent means five seconds
 */
export async function withMongodb<T>(
  url: string,
  use: (client: MongoClient) => Promise<T>,
  answerWithinMs = 5_000,
): Promise<T> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: answerWithinMs });
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.close();
  }
}

/** Finds or starts the MongoDB that all specs share, and finds the program that a MongoDB of one's own runs. */
export const setUpMongodb: SetUp = async (provide) => {
  const started = performance.now();
  const [program, given] = await Promise.all([findMongodbProgram(), findGivenMongodb()]);
  const shared = given ? { found: given } : await startSharedMongodb(program);

  const facts: Fact[] = [];
  if ('found' in shared) {
    const { url, server, foundBy, notShown } = shared.found;
    provide('mongodbUrl', url);
    facts.push({ need: 'mongodb', server, foundBy, readyMs: performance.now() - started });
    if (notShown !== undefined) facts.push({ need: 'mongodb', notShown });
  } else {
    facts.push({ need: 'mongodb', missing: shared.missing });
  }
  if ('found' in program) provide('mongodbProgram', program.found.program);
  else facts.push({ need: 'mongodb process', missing: program.missing });
  return {
    facts,
    stop: async () => {
      if ('found' in shared) await shared.found.stop();
      if ('found' in program) await program.found.stop();
    },
  };
};

interface SharedMongodb {
  readonly url: string;
  readonly server: string;
  readonly foundBy: string;
  /** Absent where nothing is known of it. */
  readonly notShown?: string;
  readonly stop: () => Promise<void>;
}

/** The MongoDB that the user named. One that does not answer is an error, not a reason to take another. */
async function findGivenMongodb(): Promise<SharedMongodb | undefined> {
  const url = process.env[URL_VARIABLE];
  if (url === undefined || url === '') return undefined;
  const info = await withMongodb(url, (client) => client.db().admin().buildInfo()).catch((error: unknown) => {
    throw new Error(
      `${URL_VARIABLE} is set, but its MongoDB does not answer. Start it, or unset the variable.`,
      { cause: error },
    );
  });
  const server = `MongoDB ${String(info['version'])}`;
  return { url, server, foundBy: URL_VARIABLE, stop: () => Promise.resolve() };
}

async function startSharedMongodb(found: Found<Runnable>): Promise<Found<SharedMongodb>> {
  if ('missing' in found) return found;
  const { program } = found.found;
  const start = async (): Promise<SharedMongodb> => {
    const process = await launchMongodb(program, []);
    return { ...program, url: process.url, stop: () => process.stop() };
  };
  return findFirst([{ place: program.foundBy, look: start }]);
}

function launchMongodb(program: MongodbProgram, switches: MongodbSwitches): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'mongodb',
    program,
    args: (place) => [...settings(place), ...switches],
    ready: /waiting for connections/i,
    url: (port) => `mongodb://127.0.0.1:${port}`,
  });
}

function settings({ port, folder }: Place): string[] {
  const where = ['--port', String(port), '--bind_ip', '127.0.0.1', '--dbpath', folder, '--nounixsocket'];
  return [...where, '--setParameter', 'ttlMonitorSleepSecs=1'];
}

interface Runnable {
  readonly program: MongodbProgram;
  /** Stops what all processes of the program need. */
  readonly stop: () => Promise<void>;
}

function findMongodbProgram(): Promise<Found<Runnable>> {
  const steps: Step<Program>[] = [
    { place: 'PATH', look: () => binaryOnPath(['mongod']) },
    { place: 'mongodb-memory-server', look: downloadedMongod },
    { place: 'Docker', look: () => dockerImage('mongo:8', 'mongod') },
  ];
  return findFirst([
    ...steps.map(({ place, look }) => ({ place, look: async () => mongod(await look()) })),
    { place: 'Debian archive', look: documentdb },
  ]);
}

/** Asks the program for its version, which also shows that it runs here. */
async function mongod(program: Program): Promise<Runnable> {
  const printed = await outputOf(program, ['--version']);
  const version = /^db version v(\S+)/m.exec(printed)?.[1];
  if (version === undefined) throw new Error(`${program.file} --version prints "${printed.trim()}"`);
  const server = `MongoDB ${version}`;
  return { program: { ...program, server, notShown: NOT_SHOWN_ALONE }, stop: () => Promise.resolve() };
}

async function downloadedMongod(): Promise<Program> {
  const tooLate = delay(LOOKUP_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`${DOWNLOAD_HOST} is not found within ${LOOKUP_TIMEOUT_MS} ms`);
  });
  await Promise.race([lookup(DOWNLOAD_HOST), tooLate]);
  // Only now: it reads the configuration of the machine, and warns of what it finds.
  const { MongoBinary } = await import('mongodb-memory-server-core/lib/util/MongoBinary.js');
  const file = await MongoBinary.getPath({ downloadDir: join(await cacheFolder(), 'mongod') });
  return { foundBy: 'npm mongodb-memory-server-core', file, args: [] };
}

async function documentdb(): Promise<Runnable> {
  const { gateway, server, stop } = await startDocumentdb();
  return { program: { ...gateway, server, notShown: NOT_SHOWN_WITHOUT_MONGOD }, stop };
}
