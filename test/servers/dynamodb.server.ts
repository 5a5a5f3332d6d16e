import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { inject } from 'vitest';
import { binaryOnPath } from './binary-on-path.js';
import { findFirst, type Found } from './find-first.js';
import type { Need } from './need.js';
import { outputOf, type Program } from './program.js';
import { ServerProcess, type Place } from './server-process.js';
import type { SetUp } from './set-up.js';
import { addFact, type Fact } from './tested-against.js';

const URL_VARIABLE = 'CACHEKIT_TEST_DYNAMODB_URL';
const FOUND_BY_NPM = 'npm dynalite';
const NOT_SHOWN = 'the removal of what has expired, and permissions (dynalite takes any credentials)';

// The SDK would warn of Node 20 once in every worker.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

declare module 'vitest' {
  interface ProvidedContext {
    /** The DynamoDB that all specs share, so use random keys. It is there inside `describeOn('dynamodb', ...)`. */
    dynamodbUrl: string;
    /** What runs a DynamoDB of one's own. It is there inside `describeOn('dynamodb process', ...)`. */
    dynamodbProgram: DynamodbProgram;
    /** A second imitation, where moto_server is on the PATH. */
    motoUrl: string | undefined;
  }
}

/** A program that runs an imitation of DynamoDB. */
interface DynamodbProgram extends Program {
  /** What it is, such as "dynalite 4.0.0 (imitation)". */
  readonly server: string;
}

/** What a backend or a client needs to know of the DynamoDB at `url`: imitations take any region and credentials. */
export function dynamodbAt(url: string) {
  const { AWS_REGION: region = 'us-east-1', AWS_ACCESS_KEY_ID: givenKey } = process.env;
  const credentials = { accessKeyId: 'nobody', secretAccessKey: 'nothing' };
  return { endpoint: url, region, ...(givenKey === undefined && { credentials }) };
}

/**
 * Starts a DynamoDB of one's own, which keeps its tables through a crash, for tests that kill or freeze it. Use it
 * inside `describeOn('dynamodb process', ...)`, and `stop` it in an `afterAll`.
 *
 * @param flags more of dynalite's flags, for instance `--maxItemSizeKb=300`; absent means none
 */
export async function startDynamodb(flags: readonly string[] = []): Promise<ServerProcess> {
  const program = inject('dynamodbProgram');
  const started = performance.now();
  const server = await launchDynalite(program, ({ folder }) => [
    `--path=${join(folder, 'tables')}`,
    ...flags,
  ]);
  const readyMs = performance.now() - started;
  const { server: name, foundBy } = program;
  addFact(inject('testedAgainstFile'), { need: 'dynamodb process', server: name, foundBy, readyMs });
  return server;
}

function launchDynalite(program: Program, more: (place: Place) => readonly string[]): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'dynamodb',
    program,
    // Long enough for a table to be seen while it is being created.
    args: (place) => ['--host=127.0.0.1', `--port=${place.port}`, '--createTableMs=100', ...more(place)],
    ready: /listening/,
    url: toUrl,
  });
}

/** Finds or starts the DynamoDB that all specs share, and a second imitation where there is one. */
export const setUpDynamodb: SetUp = async (provide) => {
  const [program, given, moto] = await Promise.all([findDynalite(), findGiven(), startMoto()]);
  const shared = given ? { found: given } : await startShared(program);

  const facts: Fact[] = [...sharedFacts(shared), ...motoFacts(moto)];
  if ('found' in shared) provide('dynamodbUrl', shared.found.url);
  if ('found' in program) provide('dynamodbProgram', program.found);
  else facts.push({ need: 'dynamodb process', missing: program.missing });
  provide('motoUrl', 'found' in moto ? moto.found.url : undefined);
  const stop = async (): Promise<void> => {
    await Promise.all([shared, moto].map(async (one) => ('found' in one ? one.found.stop() : undefined)));
  };
  return { facts, stop };
};

interface SharedDynamodb {
  readonly url: string;
  readonly server: string;
  readonly foundBy: string;
  readonly readyMs: number;
  readonly stop: () => Promise<void>;
}

/** The DynamoDB that the user named. One that does not answer is an error, not a reason to take another. */
async function findGiven(): Promise<SharedDynamodb | undefined> {
  const url = process.env[URL_VARIABLE];
  if (url === undefined || url === '') return undefined;
  const started = performance.now();
  const client = new DynamoDBClient({ ...dynamodbAt(url), requestHandler: { connectionTimeout: 5_000 } });
  try {
    await client.send(new ListTablesCommand({}), { abortSignal: AbortSignal.timeout(5_000) });
  } catch (error) {
    const message = `${URL_VARIABLE} is set, but its DynamoDB does not answer. Start it, or unset the variable.`;
    throw new Error(message, { cause: error });
  } finally {
    client.destroy();
  }
  const server = `a DynamoDB at ${new URL(url).host}`;
  const readyMs = performance.now() - started;
  return { url, server, foundBy: URL_VARIABLE, readyMs, stop: () => Promise.resolve() };
}

async function startShared(program: Found<DynamodbProgram>): Promise<Found<SharedDynamodb>> {
  if ('missing' in program) return program;
  const { server, foundBy } = program.found;
  return start(server, foundBy, () => launchDynalite(program.found, () => []));
}

/** An imitation that knows more of DynamoDB, such as the time-to-live attribute. */
async function startMoto(): Promise<Found<SharedDynamodb>> {
  const program = await findFirst([{ place: 'PATH', look: findMoto }]);
  if ('missing' in program) return program;
  return start('moto_server (imitation)', program.found.foundBy, () =>
    ServerProcess.start({
      name: 'moto',
      program: program.found,
      args: ({ port }) => ['-H', '127.0.0.1', '-p', String(port)],
      ready: /Running on/,
      url: toUrl,
    }),
  );
}

async function start(
  server: string,
  foundBy: string,
  launch: () => Promise<ServerProcess>,
): Promise<Found<SharedDynamodb>> {
  const started = performance.now();
  const look = async (): Promise<SharedDynamodb> => {
    const running = await launch();
    const readyMs = performance.now() - started;
    return { url: running.url, server, foundBy, readyMs, stop: () => running.stop() };
  };
  return findFirst([{ place: foundBy, look }]);
}

function sharedFacts(shared: Found<SharedDynamodb>): Fact[] {
  const need: Need = 'dynamodb';
  if ('missing' in shared) return [{ need, missing: shared.missing }];
  const { server, foundBy, readyMs } = shared.found;
  const started = { need, server, foundBy, readyMs };
  return foundBy === FOUND_BY_NPM ? [started, { need, notShown: NOT_SHOWN }] : [started];
}

/** One that is not there fails nothing: it is a second opinion. */
function motoFacts(moto: Found<SharedDynamodb>): Fact[] {
  if ('missing' in moto) {
    return [{ need: 'dynamodb', notShown: `the same on moto_server (${moto.missing.join('; ')})` }];
  }
  const { server, foundBy, readyMs } = moto.found;
  return [{ need: 'dynamodb moto', server, foundBy, readyMs }];
}

function findDynalite(): Promise<Found<DynamodbProgram>> {
  const look = async (): Promise<DynamodbProgram> => {
    const require = createRequire(import.meta.url);
    const args = [require.resolve('dynalite/cli.js')];
    const program = { foundBy: FOUND_BY_NPM, file: process.execPath, args };
    // It shows that the user of servers may read it.
    await outputOf(program, ['--help']);
    return { ...program, server: `dynalite ${require('dynalite/package.json').version} (imitation)` };
  };
  return findFirst([{ place: FOUND_BY_NPM, look }]);
}

async function findMoto(): Promise<Program> {
  const program = await binaryOnPath(['moto_server']);
  await outputOf(program, ['--help']);
  return program;
}

function toUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}
