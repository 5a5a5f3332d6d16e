import type { DynamoDBClient, DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { CachekitConfigError } from '../../core/errors.js';
import { checkOptionNames } from '../../core/option-names.js';
import { refuseUndefined } from '../given-client.js';
import { checkNamespace, DEFAULT_NAMESPACE } from '../namespace.js';

/** The table of a backend that is given none. */
const DEFAULT_TABLE = 'cachekit';

/** What AWS takes for a name. */
const TABLE_NAME = /^[A-Za-z0-9_.-]{3,255}$/;

interface TableOptions {
  /**
   * What this backend's partition keys begin with, `#0` to `#15` following: 1 to 64 of `A-Z a-z 0-9 _ . -`.
   * `clear` removes all of it.
   *
   * @default 'cachekit'
   */
  namespace?: string;
  /**
   * The table: 3 to 255 of `A-Z a-z 0-9 _ . -`. Its partition key is "pk", its sort key "sk", both strings.
   *
   * @default 'cachekit'
   */
  table?: string;
  /**
   * Whether to create the table where it is missing: billed on demand, with `expiresAt` as its time-to-live
   * attribute. A table that is there is left as it is.
   *
   * @default false
   */
  createTable?: boolean;
}

interface OwnTarget extends TableOptions {
  /**
   * The AWS region, for instance `eu-west-1`.
   *
   * @default that of the environment (`AWS_REGION`) or of the AWS configuration file
   */
  region?: string | undefined;
  /**
   * Where DynamoDB is, for instance `http://localhost:8000` for one on this machine.
   *
   * @default that of AWS in the region
   */
  endpoint?: string | undefined;
  /**
   * `{ accessKeyId, secretAccessKey, sessionToken? }`, or a provider of them.
   *
   * @default what the AWS SDK finds: the environment, the configuration files, the role of the machine
   */
  credentials?: DynamoDBClientConfig['credentials'] | undefined;
  client?: never;
}

interface ClientTarget extends TableOptions {
  /**
   * A DynamoDBClient that the app has already. The backend never closes it; its own options decide about timeouts and
   * how often it tries again.
   */
  client: Pick<DynamoDBClient, 'send' | 'config'>;
  region?: never;
  endpoint?: never;
  credentials?: never;
}

/** How DynamoDBBackend finds its table: by region, endpoint and credentials, or through a given client. */
export type DynamoDBBackendOptions = OwnTarget | ClientTarget;

/** What is used of a client, so that one of another version of the package fits too. */
export type DynamoDBSender = ClientTarget['client'];

/** Checked options. */
export interface DynamoDBTarget {
  readonly namespace: string;
  readonly table: string;
  readonly createTable: boolean;
  readonly source: OwnClient | { readonly kind: 'client'; readonly client: DynamoDBSender };
}

/** How to make a client. What is undefined is found by the SDK. */
export interface OwnClient {
  readonly kind: 'own';
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly credentials: DynamoDBClientConfig['credentials'] | undefined;
}

const NAMES = ['namespace', 'table', 'createTable', 'region', 'endpoint', 'credentials', 'client'];
const OF_A_CLIENT = ['region', 'endpoint', 'credentials'] as const;

/**
 * Checks what `new DynamoDBBackend()` was given.
 *
 * @throws CachekitConfigError
 */
export function readDynamoDBOptions(options: DynamoDBBackendOptions): DynamoDBTarget {
  checkOptionNames(options, NAMES, 'DynamoDBBackend');
  const { createTable = false, table = DEFAULT_TABLE } = options;
  const namespace = checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'DynamoDBBackend');
  if (typeof createTable !== 'boolean') throw wrong('`createTable` is true or false.');
  return { namespace, table: checkTable(table), createTable, source: readSource(options) };
}

function readSource(options: DynamoDBBackendOptions): DynamoDBTarget['source'] {
  refuseUndefined(options, ['client'], 'DynamoDBBackend');
  if (options.client !== undefined) return { kind: 'client', client: checkClient(options) };
  const { region, endpoint, credentials } = options;
  checkRegion(region);
  if (endpoint !== undefined) checkEndpoint(endpoint);
  checkCredentials(credentials);
  return { kind: 'own', region, endpoint, credentials };
}

function checkTable(table: string): string {
  if (typeof table === 'string' && TABLE_NAME.test(table)) return table;
  throw wrong(
    `the table ${JSON.stringify(table)} must be 3 to 255 of A-Z a-z 0-9 _ . - (a name, not an ARN).`,
  );
}

function checkRegion(region: string | undefined): void {
  if (region === undefined || (typeof region === 'string' && /^[a-z0-9-]+$/.test(region))) return;
  throw wrong('the region is a name such as "eu-west-1".');
}

function checkEndpoint(endpoint: string): void {
  const url = typeof endpoint === 'string' && URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  // No message repeats it: it may hold a password.
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw wrong('the endpoint is a url such as "http://localhost:8000".');
  }
  if (url.username !== '' || url.password !== '') {
    throw wrong('the endpoint takes no user and password. Give `credentials`.');
  }
}

function checkCredentials(credentials: OwnClient['credentials']): void {
  if (credentials === undefined || typeof credentials === 'function') return;
  const isComplete =
    typeof credentials === 'object' &&
    credentials !== null &&
    [credentials.accessKeyId, credentials.secretAccessKey].every(isFilled);
  if (isComplete) return;
  throw wrong(
    '`credentials` takes { accessKeyId, secretAccessKey, sessionToken? } or a provider. Leave it out to use ' +
      'what the AWS SDK finds.',
  );
}

function isFilled(text: unknown): boolean {
  return typeof text === 'string' && text !== '';
}

function checkClient(options: ClientTarget): DynamoDBSender {
  const extra = OF_A_CLIENT.find((name) => Reflect.get(options, name) !== undefined);
  if (extra !== undefined) {
    throw wrong(
      `\`${extra}\` has no effect on a given client. Give it to the client, or leave \`client\` out.`,
    );
  }
  if (isDynamoDBClient(options.client)) return options.client;
  throw wrong(
    '`client` is not a client of the package "@aws-sdk/client-dynamodb" (new DynamoDBClient()). ' +
      'Give one, or `region` and `credentials`.',
  );
}

/** By what it says of itself: a class check would refuse the client of another copy of the package. */
function isDynamoDBClient(client: unknown): boolean {
  if (typeof client !== 'object' || client === null || !('config' in client) || !('send' in client))
    return false;
  const { config, send } = client;
  if (typeof send !== 'function' || typeof config !== 'object' || config === null) return false;
  return 'serviceId' in config && config.serviceId === 'DynamoDB';
}

function wrong(message: string): CachekitConfigError {
  return new CachekitConfigError(`DynamoDBBackend: ${message}`);
}
