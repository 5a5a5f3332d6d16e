import { Firestore } from '@google-cloud/firestore';
import { readdir, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { binaryOnPath } from './binary-on-path.js';
import { dockerImage } from './docker-image.js';
import { findFirst, type Found, type Step } from './find-first.js';
import { outputOf, type Program } from './program.js';
import { ServerProcess } from './server-process.js';
import type { SetUp } from './set-up.js';
import { addFact, type Fact } from './tested-against.js';

const URL_VARIABLE = 'CACHEKIT_TEST_FIRESTORE_URL';

/** Where an installed Google Cloud CLI lies that is not on the PATH. */
const CLI_FOLDERS = [
  '/usr/lib/google-cloud-sdk',
  '/usr/share/google-cloud-sdk',
  '/opt/google-cloud-sdk',
  '/opt/homebrew/share/google-cloud-sdk',
  join(homedir(), 'google-cloud-sdk'),
];
const EMULATOR = 'platform/cloud-firestore-emulator';
const JAR = /^cloud-firestore-emulator.*\.jar$/;
/** The jar has no main class of its own. */
const MAIN_CLASS = 'com.google.cloud.datastore.emulator.firestore.CloudFirestore';
const DOCKER_IMAGE = 'gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators';

/** A bounded heap, one thread for its garbage, quick to start, and no files left in the folder for temporary ones. */
const JVM_OPTIONS = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'];

/** A program that runs Google's Firestore emulator. */
export interface FirestoreProgram extends Program {
  /** What it calls itself, such as "cloud-firestore-emulator 1.19.9". */
  readonly server: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Host and port of the emulator that all specs share. It is there inside `describeOn('firestore', ...)`. */
    firestoreHost: string;
    /** What runs an emulator of one's own. It is there inside `describeOn('firestore process', ...)`. */
    firestoreProgram: FirestoreProgram;
  }
}

/**
 * Starts an emulator of one's own, which keeps nothing on disk, for tests that kill or freeze it. Its `url` is host
 * and port. Use it inside `describeOn('firestore process', ...)`, and `stop` it in an `afterAll`.
 */
export async function startFirestore(): Promise<ServerProcess> {
  const program = inject('firestoreProgram');
  const started = performance.now();
  const server = await launchFirestore(program);
  const { server: name, foundBy } = program;
  addFact(inject('testedAgainstFile'), {
    need: 'firestore process',
    server: name,
    foundBy,
    readyMs: performance.now() - started,
  });
  return server;
}

function launchFirestore(program: FirestoreProgram): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'firestore',
    program,
    args: ({ port }) => ['--host', '127.0.0.1', '--port', String(port)],
    ready: /is now running/i,
    url: (port) => `127.0.0.1:${port}`,
  });
}

/** A client on the project that backends use on an emulator, which looks for no credentials. Terminate it. */
export function clientOf(host: string): Firestore {
  return new Firestore({
    projectId: 'demo-cachekit',
    host,
    ssl: false,
    clientOptions: { universeDomain: 'googleapis.com' },
  });
}

/** Finds or starts the emulator that all specs share, and finds the program that emulators of one's own run. */
export const setUpFirestore: SetUp = async (provide) => {
  const started = performance.now();
  const [program, given] = await Promise.all([findFirestoreProgram(), findGivenFirestore()]);
  const shared = given ? { found: given } : await startSharedFirestore(program);

  const facts: Fact[] = [];
  if ('found' in shared) {
    const { host, server, foundBy } = shared.found;
    provide('firestoreHost', host);
    facts.push({ need: 'firestore', server, foundBy, readyMs: performance.now() - started });
    facts.push({ need: 'firestore', notShown: 'permissions and wrong credentials, TTL policies, quotas' });
  } else {
    facts.push({ need: 'firestore', missing: shared.missing });
  }
  if ('found' in program) provide('firestoreProgram', program.found);
  else facts.push({ need: 'firestore process', missing: program.missing });
  return { facts, stop: async () => ('found' in shared ? shared.found.stop() : undefined) };
};

interface SharedFirestore {
  readonly host: string;
  readonly server: string;
  readonly foundBy: string;
  readonly stop: () => Promise<void>;
}

/** The emulator that the user named. One that does not answer is an error, not a reason to take another. */
async function findGivenFirestore(): Promise<SharedFirestore | undefined> {
  const host = process.env[URL_VARIABLE]?.replace(/^http:\/\/|\/$/g, '');
  if (host === undefined || host === '') return undefined;
  const answer = await fetch(`http://${host}/`).catch((error: unknown) => {
    throw new Error(
      `${URL_VARIABLE} is set, but its emulator does not answer. Start it, or unset the variable.`,
      { cause: error },
    );
  });
  const server = `Firestore emulator of unknown version (HTTP ${answer.status})`;
  return { host, server, foundBy: URL_VARIABLE, stop: () => Promise.resolve() };
}

async function startSharedFirestore(program: Found<FirestoreProgram>): Promise<Found<SharedFirestore>> {
  if ('missing' in program) return program;
  const { server, foundBy } = program.found;
  const start = async (): Promise<SharedFirestore> => {
    const emulator = await launchFirestore(program.found);
    return { host: emulator.url, server, foundBy, stop: () => emulator.stop() };
  };
  return findFirst([{ place: foundBy, look: start }]);
}

function findFirestoreProgram(): Promise<Found<FirestoreProgram>> {
  const steps: Step<Program>[] = [
    { place: 'Google Cloud CLI', look: () => onJava('Google Cloud CLI', cliFolders()) },
    { place: 'firebase-tools', look: () => onJava('firebase-tools', Promise.resolve([firebaseFolder()])) },
    { place: 'Docker', look: inDocker },
  ];
  return findFirst(steps.map(({ place, look }) => ({ place, look: async () => withVersion(await look()) })));
}

/** The emulator in the first of the folders that has one, run by the Java of this machine. */
async function onJava(foundBy: string, folders: Promise<readonly string[]>): Promise<Program> {
  const javaHome = process.env['JAVA_HOME'];
  const [jar, java] = await Promise.all([
    findJar(await folders),
    binaryOnPath(['java'], javaHome === undefined ? [] : [join(javaHome, 'bin')]),
  ]);
  return { foundBy, file: java.file, args: javaArguments(jar) };
}

async function inDocker(): Promise<Program> {
  const java = await dockerImage(DOCKER_IMAGE, 'java');
  const jar = join('/usr/lib/google-cloud-sdk', EMULATOR, 'cloud-firestore-emulator.jar');
  return { ...java, args: [...java.args, ...javaArguments(jar)] };
}

function javaArguments(jar: string): string[] {
  return [...JVM_OPTIONS, '-Duser.language=en', '-cp', jar, MAIN_CLASS];
}

/** The folders of the emulator: of the `gcloud` on the PATH, wherever that leads to, and of the usual places. */
async function cliFolders(): Promise<string[]> {
  const onPath = await binaryOnPath(['gcloud']).then(
    async ({ file }) => [dirname(dirname(await realpath(file)))],
    () => [],
  );
  return [...onPath, ...CLI_FOLDERS].map((folder) => join(folder, EMULATOR));
}

function firebaseFolder(): string {
  return process.env['FIREBASE_EMULATORS_PATH'] ?? join(homedir(), '.cache/firebase/emulators');
}

async function findJar(folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const files = await readdir(folder).catch(() => []);
    // Versions are in the name, where there are several.
    const jar = files
      .filter((file) => JAR.test(file))
      .sort()
      .at(-1);
    if (jar !== undefined) return join(folder, jar);
  }
  throw new Error('no cloud-firestore-emulator.jar (gcloud components install cloud-firestore-emulator)');
}

/** Asks the program for its version, which also shows that it runs here. */
async function withVersion(program: Program): Promise<FirestoreProgram> {
  const printed = await outputOf(program, ['--version']);
  const server = /^cloud-firestore-emulator \S+/m.exec(printed)?.[0];
  if (server === undefined) throw new Error(`the emulator's --version prints "${printed.trim()}"`);
  return { ...program, server };
}
