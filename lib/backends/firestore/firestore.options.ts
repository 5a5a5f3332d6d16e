import type { Firestore, Settings } from '@google-cloud/firestore';
import { CachekitConfigError } from '../../core/errors.js';
import { checkName } from '../../core/names.js';
import { checkOptionNames } from '../../core/option-names.js';
import type { Ttl } from '../../core/ttl.js';
import { hasMethods, refuseUndefined } from '../given-client.js';
import { checkNamespace, DEFAULT_NAMESPACE } from '../namespace.js';
import { checkSweepInterval } from '../sweep-interval.js';
import { isReserved } from './document-id.js';

const BACKEND = 'FirestoreBackend';
const DEFAULT_COLLECTION = 'cachekit';
const DEFAULT_SWEEP_INTERVAL: Ttl = '5m';

/** Any name does for an emulator; `demo-` is what Firebase's tools keep for projects that don't exist. */
const EMULATOR_PROJECT = 'demo-cachekit';

/** Settings of the client that have an option of their own, or are decided by the backend, and why. */
const FIXED_SETTINGS: Readonly<Record<string, string>> = {
  projectId: 'Give the option `projectId`.',
  databaseId: 'Give the option `databaseId`.',
  host: 'Give `emulatorHost` for an emulator, `settings.apiEndpoint` for another address of Google.',
  ssl: 'Give `emulatorHost` for an emulator; everything else has TLS.',
  preferRest: 'Give a `client` of your own if it has to be REST: over gRPC a call can be ended in time.',
  'grpc.callInvocationTransformer': 'Give a `client` of your own.',
};

interface CommonOptions {
  /**
   * What is this app's: 1 to 64 of `A-Z a-z 0-9 _ . -`. `clear` removes all of it.
   *
   * @default 'cachekit'
   */
  namespace?: string;
  /**
   * The collection for the entries of all namespaces, 1 to 64 of `A-Z a-z 0-9 _ . -`. They lie in
   * `<collection>/<namespace>/<collection>`, so that one TTL policy for this name is enough.
   *
   * @default 'cachekit'
   */
  collection?: string;
  /**
   * How often expired entries are removed: seconds, or with a unit (`'5m'`). `Infinity`: never by this process, for
   * where a TTL policy of Firestore does it.
   *
   * @default '5m'
   */
  sweepInterval?: Ttl;
}

interface DatabaseTarget extends CommonOptions {
  /**
   * The Google Cloud project.
   *
   * @default that of the credentials or of the environment; on an emulator `demo-cachekit`
   */
  projectId?: string | undefined;
  /**
   * The database in it.
   *
   * @default '(default)'
   */
  databaseId?: string | undefined;
  /**
   * `host:port` of an emulator, which is used without TLS and without credentials.
   *
   * @default the environment variable FIRESTORE_EMULATOR_HOST; without it, Google's Firestore
   */
  emulatorHost?: string | undefined;
  /** More settings of the client: `keyFilename`, `credentials`, `apiEndpoint`. */
  settings?: Settings;
  client?: never;
}

interface ClientTarget extends CommonOptions {
  /** A Firestore client that the app has already, also that of firebase-admin. The backend never closes it. */
  client: Firestore;
  projectId?: never;
  databaseId?: never;
  emulatorHost?: never;
  settings?: never;
}

/** How FirestoreBackend finds its database: by project and settings, or through a given client. */
export type FirestoreBackendOptions = DatabaseTarget | ClientTarget;

/** Checked options. `place` names the database in messages. */
export type FirestoreTarget = {
  readonly namespace: string;
  readonly collection: string;
  readonly sweepIntervalMs: number;
  readonly place: string;
} & (
  | { readonly kind: 'database'; readonly isEmulator: boolean; readonly settings: Settings }
  | { readonly kind: 'client'; readonly client: Firestore }
);

const DATABASE_NAMES = ['projectId', 'databaseId', 'emulatorHost', 'settings'] as const;
const NAMES = ['namespace', 'collection', 'sweepInterval', ...DATABASE_NAMES, 'client'];

/**
 * Checks what `new FirestoreBackend()` was given.
 *
 * @throws CachekitConfigError
 */
export function readFirestoreOptions(options: FirestoreBackendOptions): FirestoreTarget {
  checkOptionNames(options, NAMES, BACKEND);
  refuseUndefined(options, ['client'], BACKEND);
  const common = {
    namespace: checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, BACKEND),
    collection: checkCollection(options.collection ?? DEFAULT_COLLECTION),
    sweepIntervalMs: checkSweepInterval(options.sweepInterval ?? DEFAULT_SWEEP_INTERVAL, BACKEND),
  };
  return { ...common, ...(options.client === undefined ? readDatabase(options) : readClient(options)) };
}

function readDatabase({ projectId, databaseId, emulatorHost, settings = {} }: DatabaseTarget) {
  checkText('projectId', projectId);
  checkText('databaseId', databaseId);
  checkSettings(settings);
  const host = readEmulatorHost(emulatorHost);
  const project =
    projectId ?? (host === undefined ? undefined : (projectOfEnvironment() ?? EMULATOR_PROJECT));
  return {
    kind: 'database' as const,
    isEmulator: host !== undefined,
    place: `${nameOf(project, databaseId)}${host === undefined ? '' : ` of the emulator at ${host}`}`,
    settings: {
      ...settings,
      ...(project !== undefined && { projectId: project }),
      ...(databaseId !== undefined && { databaseId }),
      ...(host !== undefined && { host, ssl: false }),
    },
  };
}

function readClient(options: ClientTarget) {
  const { client } = options;
  const other = DATABASE_NAMES.find((name) => options[name] !== undefined);
  if (other !== undefined) {
    throw wrong(
      `\`${other}\` has no effect on a given client. Give it to the client, or leave \`client\` out.`,
    );
  }
  if (!hasMethods(client, ['collection', 'getAll', 'batch', 'terminate'])) {
    throw wrong(
      '`client` is not a client of the package "@google-cloud/firestore" (new Firestore(), or getFirestore() of ' +
        'firebase-admin). The client of the web SDK "firebase" is not supported: give `projectId` instead.',
    );
  }
  return {
    kind: 'client' as const,
    client,
    place: `the database "${client.databaseId}" of the given client`,
  };
}

function checkCollection(collection: string): string {
  checkName(collection, `${BACKEND}: the collection`);
  if (!isReserved(collection)) return collection;
  throw wrong(`the collection "${collection}" has a name that Firestore keeps for itself. Take another one.`);
}

function checkText(name: string, value: string | undefined): void {
  if (value === undefined || (typeof value === 'string' && value !== '')) return;
  throw wrong(`\`${name}\` takes a text that is not empty.`);
}

function checkSettings(settings: Settings): void {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
    throw wrong(
      '`settings` takes an object of settings of the client, for instance { keyFilename: "key.json" }.',
    );
  }
  const found = Object.keys(FIXED_SETTINGS).find((name) => settings[name] !== undefined);
  if (found !== undefined) throw wrong(`\`settings.${found}\` is not taken. ${FIXED_SETTINGS[found]}`);
}

function readEmulatorHost(option: string | undefined): string | undefined {
  const variable = process.env['FIRESTORE_EMULATOR_HOST'] || undefined;
  if (option !== undefined && !isAddress(option)) {
    throw wrong('`emulatorHost` takes host and port, for instance "localhost:8080".');
  }
  // The client takes the variable, whatever its settings say.
  if (option !== undefined && variable !== undefined && option !== variable) {
    throw wrong(
      `\`emulatorHost\` is "${option}", but the environment variable FIRESTORE_EMULATOR_HOST says "${variable}", ` +
        'and the client listens to that. Leave one of them out.',
    );
  }
  return option ?? variable;
}

function isAddress(host: unknown): boolean {
  if (typeof host !== 'string' || !URL.canParse(`http://${host}`)) return false;
  const { host: parsed, username, password, pathname } = new URL(`http://${host}`);
  return parsed !== '' && username === '' && password === '' && pathname === '/' && !host.endsWith('/');
}

function projectOfEnvironment(): string | undefined {
  return process.env['GCLOUD_PROJECT'] || process.env['GOOGLE_CLOUD_PROJECT'] || undefined;
}

function nameOf(projectId: string | undefined, databaseId = '(default)'): string {
  return projectId === undefined
    ? `the Firestore database "${databaseId}"`
    : `the Firestore database "${databaseId}" of the project "${projectId}"`;
}

function wrong(message: string): CachekitConfigError {
  return new CachekitConfigError(`${BACKEND}: ${message}`);
}
