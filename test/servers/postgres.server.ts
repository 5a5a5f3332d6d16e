import { chmod, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { inject } from 'vitest';
import { binaryOnPath } from './binary-on-path.js';
import { debianProgram, type Packages } from './debian-archive.js';
import { dockerImage } from './docker-image.js';
import { findFirst, type Found, type Step } from './find-first.js';
import { PostgresProcess } from './postgres-process.js';
import { outputOf, type Program } from './program.js';
import { ServerProcess, type Launch } from './server-process.js';
import type { SetUp } from './set-up.js';
import { makeTempFolder, removeTempFolder, writeTempFile } from './temp-folder.js';
import { addFact, type Fact } from './tested-against.js';

const URL_VARIABLE = 'CACHEKIT_TEST_POSTGRES_URL';
const PASSWORD = 'cachekit';

/** A shell that makes the data folder at the first start, and then becomes Postgres. */
export interface PostgresProgram extends Program {
  /** What it calls itself, such as "PostgreSQL 15.18". */
  readonly server: string;
}

/** Postgres settings under the names of postgresql.conf, for instance `{ max_connections: '20' }`. */
export type PostgresConfig = Readonly<Record<string, string>>;

declare module 'vitest' {
  interface ProvidedContext {
    /** The Postgres that all specs share, so use random names. It is there inside `describeOn('postgres', ...)`. */
    postgresUrl: string;
    /** What runs a Postgres of one's own. It is there inside `describeOn('postgres process', ...)`. */
    postgresProgram: PostgresProgram;
  }
}

/**
 * Starts a Postgres of one's own, for tests that kill, freeze or configure it. Use it inside
 * `describeOn('postgres process', ...)`, and `stop` it in an `afterAll`.
 *
 * @param config settings beyond those that every test server has; absent means none
 */
export async function startPostgres(config: PostgresConfig = {}): Promise<PostgresProcess> {
  const program = inject('postgresProgram');
  const started = performance.now();
  const server = await launchPostgres(program, config);
  const { server: name, foundBy } = program;
  addFact(inject('testedAgainstFile'), {
    need: 'postgres process',
    server: name,
    foundBy,
    readyMs: performance.now() - started,
  });
  return new PostgresProcess(server);
}

/** Connects to a Postgres for the time that `use` takes. Rejects when it does not answer within five seconds. */
export async function withPostgres<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Finds or starts the Postgres that all specs share, and finds the program that a Postgres of one's own runs. */
export const setUpPostgres: SetUp = async (provide) => {
  const started = performance.now();
  const [program, given] = await Promise.all([findPostgresProgram(), findGivenPostgres()]);
  const shared = given ? { found: given } : await startSharedPostgres(program);

  const facts: Fact[] = [];
  if ('found' in shared) {
    const { url, server, foundBy } = shared.found;
    provide('postgresUrl', url);
    facts.push({ need: 'postgres', server, foundBy, readyMs: performance.now() - started });
  } else {
    facts.push({ need: 'postgres', missing: shared.missing });
  }
  const breakable = asBreakable(program);
  if ('found' in breakable) provide('postgresProgram', breakable.found);
  else facts.push({ need: 'postgres process', missing: breakable.missing });
  return { facts, stop: async () => ('found' in shared ? shared.found.stop() : undefined) };
};

/** Postgres is many processes, of which Docker hands signals to the first only. */
function asBreakable(program: Found<PostgresProgram>): Found<PostgresProgram> {
  if ('missing' in program || !program.found.image) return program;
  return { missing: [`${program.found.foundBy}: its processes can't be frozen and killed from outside`] };
}

interface SharedPostgres {
  readonly url: string;
  readonly server: string;
  readonly foundBy: string;
  readonly stop: () => Promise<void>;
}

/** The Postgres that the user named. One that does not answer is an error, not a reason to take another. */
async function findGivenPostgres(): Promise<SharedPostgres | undefined> {
  const url = process.env[URL_VARIABLE];
  if (url === undefined || url === '') return undefined;
  const version = await withPostgres(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version;
  }).catch((error: unknown) => {
    throw new Error(
      `${URL_VARIABLE} is set, but its Postgres does not answer. Start it, or unset the variable.`,
      { cause: error },
    );
  });
  const server = `PostgreSQL ${version?.split(' ')[0]}`;
  return { url, server, foundBy: URL_VARIABLE, stop: () => Promise.resolve() };
}

async function startSharedPostgres(program: Found<PostgresProgram>): Promise<Found<SharedPostgres>> {
  if ('missing' in program) return program;
  const { server, foundBy } = program.found;
  const start = async (): Promise<SharedPostgres> => {
    const postgres = await launchPostgres(program.found, {});
    return { url: postgres.url, server, foundBy, stop: () => new PostgresProcess(postgres).stop() };
  };
  return findFirst([{ place: foundBy, look: start }]);
}

/** Starts one Postgres, which `PostgresProcess` knows how to stop. */
export function launchPostgres(program: PostgresProgram, config: PostgresConfig): Promise<ServerProcess> {
  const launch: Launch = {
    name: 'postgres',
    program,
    args: ({ port, folder }) => [folder, ...toArgs({ ...settings(port, folder), ...config })],
    files: { password: PASSWORD },
    ready: /database system is ready to accept (read-only )?connections/,
    url: (port) => `postgres://cachekit:${PASSWORD}@127.0.0.1:${port}/postgres`,
  };
  return ServerProcess.start(launch);
}

/** What is lost by a crash of the machine is nothing that a test would miss. */
function settings(port: number, folder: string): PostgresConfig {
  return {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    fsync: 'off',
    full_page_writes: 'off',
    max_connections: '100',
    shared_buffers: '32MB',
  };
}

function toArgs(config: PostgresConfig): string[] {
  return Object.entries(config).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Runs in the place of Postgres: `$0` is the folder of its programs, `$1` the server's own folder. */
const START = `
bin=$0
folder=$1
shift
if [ ! -e "$folder/data/PG_VERSION" ]; then
  "$bin/initdb" -D "$folder/data" -U cachekit --pwfile="$folder/password" -A scram-sha-256 \\
    -E UTF8 --locale=C --no-sync || exit 1
fi
exec "$bin/postgres" -D "$folder/data" "$@"
`;

/** The programs of Postgres. */
interface PostgresPrograms {
  /** The shell that runs them. */
  readonly program: Program;
  /** The folder that they lie in. */
  readonly bin: string;
}

function findPostgresProgram(): Promise<Found<PostgresProgram>> {
  const steps: Step<PostgresPrograms>[] = [
    { place: 'PATH', look: programOnPath },
    { place: 'Docker', look: programInDocker },
    { place: 'Debian archive', look: () => programFromDebian(DEBIAN, '15') },
  ];
  return findFirst(
    steps.map(({ place, look }) => ({ place, look: async () => toPostgresProgram(await look()) })),
  );
}

/** @throws Error when it does not run here */
async function toPostgresProgram({ program, bin }: PostgresPrograms): Promise<PostgresProgram> {
  const server = await versionOf(program, bin);
  return { ...program, args: [...program.args, '-c', START, bin], server };
}

async function programOnPath(): Promise<PostgresPrograms> {
  const initdb = await binaryOnPath(['initdb'], await debianFolders());
  return { program: { ...initdb, file: '/bin/sh', args: [] }, bin: dirname(initdb.file) };
}

/** Where Debian keeps what is not for everybody's PATH, the newest version first. */
async function debianFolders(): Promise<string[]> {
  const parent = '/usr/lib/postgresql';
  const versions = await readdir(parent).catch(() => []);
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(parent, version, 'bin'));
}

async function programInDocker(): Promise<PostgresPrograms> {
  const program = await dockerImage('postgres:17', 'sh');
  const bin = await outputOf(program, ['-c', 'dirname "$(command -v postgres)"']);
  return { program, bin: bin.trim() };
}

/** Fixed, since the number of the version is in the path. Its programs run through their own loader anywhere. */
const DEBIAN = { name: 'postgres', packages: ['postgresql-15'], suite: 'bookworm' };

/** A Postgres among unpacked packages of Debian, which may bring extensions. Rejects when it does not run here. */
export async function postgresFromDebian(packages: Packages, version: string): Promise<PostgresProgram> {
  return toPostgresProgram(await programFromDebian(packages, version));
}

/**
 * initdb runs the postgres that lies beside it, which needs the loader too. So both get a script in a folder of
 * their own; it goes when this process ends.
 */
async function programFromDebian(packages: Packages, version: string): Promise<PostgresPrograms> {
  const postgres = await debianProgram(packages, `usr/lib/postgresql/${version}/bin/postgres`);
  const initdb = await debianProgram(packages, `usr/lib/postgresql/${version}/bin/initdb`);
  const share = join(dirname(postgres.args.at(-1) ?? ''), `../../../../share/postgresql/${version}`);
  const bin = await makeTempFolder('postgres-programs');
  try {
    await writeScript(bin, 'postgres', [postgres.file, ...postgres.args]);
    const args = initdb.args.map((arg, index, all) =>
      all[index - 1] === '--argv0' ? join(bin, 'initdb') : arg,
    );
    await writeScript(bin, 'initdb', [initdb.file, ...args, '-L', share]);
  } catch (error) {
    await removeTempFolder(bin);
    throw error;
  }
  return { program: { ...postgres, file: '/bin/sh', args: [] }, bin };
}

async function writeScript(folder: string, name: string, command: readonly string[]): Promise<void> {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  await writeTempFile(folder, name, `#!/bin/sh\nexec ${quoted} "$@"\n`);
  await chmod(join(folder, name), 0o755);
}

/** Asks the program for its version, which also shows that it runs here. */
async function versionOf(program: Program, bin: string): Promise<string> {
  const printed = await outputOf(program, ['-c', '"$0/postgres" --version', bin]);
  const version = /^postgres \(PostgreSQL\) (\S+)/m.exec(printed)?.[1];
  if (version === undefined) throw new Error(`${bin}/postgres --version prints "${printed.trim()}"`);
  return `PostgreSQL ${version}`;
}
