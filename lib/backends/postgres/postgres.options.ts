import type { DataSource, DataSourceOptions } from 'typeorm';
import { CachekitConfigError } from '../../core/errors.js';
import type { Ttl } from '../../core/ttl.js';
import { hasMethods, refuseUndefined } from '../given-client.js';
import { checkNamespace, DEFAULT_NAMESPACE } from '../namespace.js';
import { parseServerUrl, PERCENT_ENCODING } from '../server-url.js';
import { checkSweepInterval } from '../sweep-interval.js';

type TypeormOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** How to connect, under typeorm's names. */
type ConnectionOptions = Partial<
  Pick<
    TypeormOptions,
    | 'host'
    | 'port'
    | 'username'
    | 'password'
    | 'database'
    | 'ssl'
    | 'applicationName'
    | 'connectTimeoutMS'
    | 'extra'
  >
>;

interface CommonOptions {
  /**
   * What tells this backend's entries from others in the same table: 1 to 64 of `A-Z a-z 0-9 _ . -`. `clear`
   * removes all of it.
   *
   * @default 'cachekit'
   */
  namespace?: string;
  /**
   * The schema of the table: 1 to 63 of `A-Z a-z 0-9 _`, no digit first. One that is not there is created.
   *
   * @default 'public'
   */
  schema?: string;
  /**
   * The table: 1 to 48 of `A-Z a-z 0-9 _`, no digit first. Case counts.
   *
   * @default 'cachekit'
   */
  table?: string;
  /**
   * Whether the table is created by itself where it is missing.
   *
   * @default true
   */
  createTable?: boolean;
  /**
   * Whether the table, when it is created here, survives a crash of the server (and is replicated). The default,
   * an UNLOGGED table, is empty after a crash, and writes to it cost less.
   *
   * @default false
   */
  durable?: boolean;
  /**
   * How often expired rows are removed: seconds, or with a unit (`'5m'`). `Infinity`: never by this process.
   *
   * @default '1m'
   */
  sweepInterval?: Ttl;
  /**
   * How many connections are used at once, at least 1. Of the pool of a given data source never more than half.
   *
   * @default 4
   */
  maxConnections?: number;
}

interface ServerTarget extends CommonOptions {
  /** The server, `postgres://user:password@host:port/database`. */
  url?: string | undefined;
  /**
   * How to connect, beside or instead of the url, under typeorm's names: `host` (or the folder of a unix socket),
   * `port`, `username`, `password`, `database`, `ssl`, `applicationName`, `connectTimeoutMS` (2,000), and `extra`
   * for more options of pg. What the url says wins.
   */
  options?: ConnectionOptions;
  dataSource?: never;
}

interface DataSourceTarget extends CommonOptions {
  /** A typeorm data source of type "postgres" that the app has already. The backend never closes it. */
  dataSource: DataSource;
  url?: never;
  options?: never;
}

/** How PostgresBackend finds Postgres: by url and options, or through a given data source of typeorm. */
export type PostgresBackendOptions = ServerTarget | DataSourceTarget;

/** Where the entries are, and who keeps the table. */
export interface TableOptions {
  readonly namespace: string;
  readonly schema: string;
  readonly table: string;
  readonly createTable: boolean;
  readonly durable: boolean;
  readonly sweepIntervalMs: number;
}

/** How to connect. `place` names the server in messages, without user and password. */
export type ServerOptions = { readonly place: string; readonly maxConnections: number } & (
  | { readonly kind: 'server'; readonly url: string | undefined; readonly options: ConnectionOptions }
  | { readonly kind: 'data source'; readonly dataSource: DataSource }
);

/** Checked options. */
export type PostgresTarget = TableOptions & { readonly server: ServerOptions };

/** `server` where the backend connects by itself. */
export type OwnServer = Extract<ServerOptions, { kind: 'server' }>;

const NAMES = [
  'namespace',
  'url',
  'options',
  'dataSource',
  'schema',
  'table',
  'createTable',
  'durable',
  'sweepInterval',
  'maxConnections',
];
const CONNECTION_NAMES = [
  'host',
  'port',
  'username',
  'password',
  'database',
  'ssl',
  'applicationName',
  'connectTimeoutMS',
  'extra',
];
/** Options of pg that PostgresBackend decides by itself. */
const FIXED_EXTRA = ['max', 'min', 'poolSize', 'allowExitOnIdle', 'pipeline', 'binary', 'types', 'Client'];

const DEFAULT_MAX_CONNECTIONS = 4;
/** So that the name of its index, which ends with 15 more characters, fits the 63 bytes of a name. */
const LONGEST_TABLE = 48;
const LONGEST_SCHEMA = 63;

/**
 * Checks what `new PostgresBackend()` was given.
 *
 * @throws CachekitConfigError
 */
export function readPostgresOptions(options: PostgresBackendOptions): PostgresTarget {
  checkNames(options);
  return {
    namespace: checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'PostgresBackend'),
    schema: checkIdentifier('schema', options.schema ?? 'public', LONGEST_SCHEMA),
    table: checkIdentifier('table', options.table ?? 'cachekit', LONGEST_TABLE),
    createTable: checkFlag('createTable', options.createTable ?? true),
    durable: checkFlag('durable', options.durable ?? false),
    sweepIntervalMs: checkSweepInterval(options.sweepInterval ?? '1m', 'PostgresBackend'),
    server: readServer(options),
  };
}

function checkNames(options: PostgresBackendOptions): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrong('takes an object, for instance { url: "postgres://user:password@localhost:5432/shop" }.');
  }
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw wrong(
      `unknown option "${unknown}". It takes ${NAMES.join(', ')}; what tells how to connect, such as ` +
        `${CONNECTION_NAMES.join(', ')}, goes into \`options\`.`,
    );
  }
  refuseUndefined(options, ['dataSource'], 'PostgresBackend');
  if (options.dataSource !== undefined && options.url !== undefined) {
    throw wrong('give one of url and dataSource, not both.');
  }
  if (options.dataSource !== undefined && options.options !== undefined) {
    throw wrong(
      '`options` have no effect on a given data source. Give them to it, or leave `dataSource` out.',
    );
  }
  if (options.dataSource === undefined && options.url === undefined && options.options === undefined) {
    throw wrong(
      'give `url` ("postgres://user:password@localhost:5432/shop"), `options` ({ host, username, ... }) or ' +
        '`dataSource`.',
    );
  }
}

function readServer(options: PostgresBackendOptions): ServerOptions {
  const maxConnections = checkMaxConnections(options.maxConnections ?? DEFAULT_MAX_CONNECTIONS);
  if (options.dataSource !== undefined) {
    const dataSource = checkDataSource(options.dataSource);
    return { kind: 'data source', dataSource, maxConnections, place: placeOfDataSource(dataSource) };
  }
  const { url, options: given = {} } = options;
  checkConnectionOptions(given);
  const address = url === undefined ? undefined : checkUrl(url);
  return { kind: 'server', url, options: given, maxConnections, place: placeOf(given, address) };
}

function checkIdentifier(option: string, name: string, longest: number): string {
  if (typeof name === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name.length <= longest)
    return name;
  throw wrong(
    `the ${option} ${JSON.stringify(name)} is not allowed. Use 1 to ${longest} of the characters ` +
      'A-Z a-z 0-9 _, no digit first.',
  );
}

function checkFlag(option: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value;
  throw wrong(`\`${option}\` takes true or false.`);
}

function checkMaxConnections(count: number): number {
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw wrong('`maxConnections` takes a whole number of at least 1.');
}

function checkDataSource(dataSource: DataSource): DataSource {
  if (!hasMethods(dataSource, ['createQueryRunner'])) {
    throw wrong('`dataSource` is not a DataSource of the package "typeorm". Give `url` instead.');
  }
  if (dataSource.options.type === 'postgres') return dataSource;
  throw wrong(
    `the given data source is of type "${dataSource.options.type}". It takes one of type "postgres".`,
  );
}

function checkConnectionOptions(options: ConnectionOptions): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrong('`options` takes an object, for instance { host: "localhost", username: "shop" }.');
  }
  const unknown = Object.keys(options).find((name) => !CONNECTION_NAMES.includes(name));
  if (unknown !== undefined) {
    throw wrong(
      `unknown option "options.${unknown}". It takes ${CONNECTION_NAMES.join(', ')}; more options of pg go into ` +
        '`options.extra`.',
    );
  }
  const { extra } = options;
  if (extra === undefined) return;
  if (typeof extra !== 'object' || extra === null)
    throw wrong('`options.extra` takes an object of pg options.');
  const fixed = FIXED_EXTRA.find((name) => Reflect.get(extra, name) !== undefined);
  if (fixed === undefined) return;
  throw wrong(
    `\`options.extra.${fixed}\` is decided by PostgresBackend. Leave it out` +
      (fixed === 'max' || fixed === 'poolSize' ? ', and use `maxConnections`.' : '.'),
  );
}

function checkUrl(url: string): URL {
  const parsed = parseServerUrl(url);
  // No message repeats the url: it may hold a password.
  if (!parsed) {
    throw wrong(
      `the url can't be read. It looks like "postgres://user:password@host:5432/database"; ${PERCENT_ENCODING}. ` +
        'For a unix socket use { options: { host: "/var/run/postgresql" } }.',
    );
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') {
    throw wrong(`the url begins with "${parsed.protocol}". It takes postgres:// or postgresql://.`);
  }
  return parsed;
}

function placeOfDataSource({ options }: DataSource): string {
  if (options.type !== 'postgres') return 'the given data source';
  const { url, host, port, database } = options.replication?.master ?? options;
  const address = url === undefined ? undefined : parseServerUrl(url);
  return `the given data source of ${placeOf({ ...options, host, port, database } as ConnectionOptions, address)}`;
}

/** What pg itself would take where nothing is said is looked up here too, so that messages are right. */
function placeOf({ host, port, database }: ConnectionOptions, url: URL | undefined): string {
  const { PGHOST, PGPORT, PGDATABASE } = process.env;
  const server = url?.hostname || host || PGHOST || 'localhost';
  const where = server.startsWith('/') ? server : `${server}:${url?.port || port || PGPORT || 5432}`;
  const name = (url && decodeURIComponent(url.pathname.slice(1))) || database || PGDATABASE;
  return name ? `${where}/${name}` : where;
}

function wrong(message: string): CachekitConfigError {
  return new CachekitConfigError(`PostgresBackend: ${message}`);
}
