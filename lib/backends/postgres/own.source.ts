import type { DataSource, DriverPackageNotInstalledError } from 'typeorm';
import { MissingClientError } from '../../core/errors.js';
import { explainFailedImport } from '../client-package.js';
import { hold } from './hold.js';
import { driverOf, type PgClientClass, type PgConfig, type PgDriver } from './pg.js';
import type { OwnServer } from './postgres.options.js';
import type { Held, PostgresSource, SideClient } from './postgres.source.js';
import { settledWithin } from '../settled-within.js';
import { CONNECT_MS, makeSideClient } from './side-client.js';
import { Sockets } from './sockets.js';

/** How long statements that still run may take when it is stopped, and the sockets to close then. */
const STOP_MS = 1_000;
const GOODBYE_MS = 500;

/** What pg is told beyond where to connect; `extra` may say otherwise. */
const DEFAULTS = { keepAlive: true, keepAliveInitialDelayMillis: 10_000, idleTimeoutMillis: 60_000 };

/** What is used of typeorm. */
interface Typeorm {
  readonly DataSource: typeof DataSource;
  readonly DriverPackageNotInstalledError: typeof DriverPackageNotInstalledError;
}

/**
 * What makes sources on a server, each with a data source and a pool of its own.
 *
 * @throws MissingClientError when typeorm or pg is not installed
 */
export async function loadOwnSource(server: OwnServer): Promise<() => PostgresSource> {
  const typeorm = await loadTypeorm();
  const Client = heard(loadPg(typeorm).Client);
  return () => new OwnSource(typeorm, Client, server);
}

function loadPg(typeorm: Typeorm): PgDriver['postgres'] {
  try {
    // It looks for pg when it is made.
    return driverOf(makeDataSource(typeorm, {})).postgres;
  } catch (error) {
    throw error instanceof typeorm.DriverPackageNotInstalledError ? missing('pg', error) : error;
  }
}

/**
 * Clients whose errors always have a listener. typeorm, which asks for the server's version first, listens a moment
 * after the pool has given it a connection; one that ends in that moment would end the process.
 */
function heard(Client: PgClientClass): PgClientClass {
  return class extends Client {
    constructor(config: PgConfig) {
      super(config);
      this.on('error', () => undefined);
    }
  };
}

async function loadTypeorm(): Promise<Typeorm> {
  try {
    return await import('typeorm');
  } catch (error) {
    const explained = explainFailedImport(error, 'typeorm', 'PostgresBackend');
    throw explained instanceof MissingClientError ? missing('typeorm', error) : explained;
  }
}

function missing(name: string, cause: unknown): MissingClientError {
  return new MissingClientError(
    `PostgresBackend needs the packages "typeorm" and "pg", and "${name}" is not installed. ` +
      'Run: npm install typeorm pg',
    { cause },
  );
}

/** Connections of a data source of its own, which lives as long as nothing goes wrong with them. */
class OwnSource implements PostgresSource {
  readonly limit: number;
  readonly #sockets = new Sockets();
  readonly #config: PgConfig;
  readonly #dataSource: DataSource;
  #starting: Promise<unknown> | undefined;

  constructor(typeorm: Typeorm, Client: PgClientClass, server: OwnServer) {
    this.limit = server.maxConnections;
    this.#config = { ...configOf(server), stream: this.#sockets.maker(server.options.extra?.stream) };
    this.#dataSource = makeDataSource(typeorm, { ...this.#config, Client });
  }

  async start(): Promise<void> {
    this.#starting = this.#dataSource.initialize();
    await this.#starting;
  }

  acquire(): Promise<Held> {
    return hold(driverOf(this.#dataSource));
  }

  side(): SideClient {
    return makeSideClient(driverOf(this.#dataSource), { ...this.#config, stream: undefined });
  }

  async stop(): Promise<void> {
    if (!this.#dataSource.isInitialized) this.#sockets.destroy();
    await Promise.allSettled([this.#starting]);
    await settledWithin(STOP_MS, this.#end());
    await this.#sockets.closed(GOODBYE_MS);
  }

  async #end(): Promise<void> {
    if (this.#dataSource.isInitialized) return this.#dataSource.destroy();
    // It failed halfway: the pool is there, and nobody else knows.
    await driverOf(this.#dataSource).master?.end();
  }
}

/** Everything goes through `extra`, so that the same options serve a client beside the pool. */
function makeDataSource({ DataSource }: Typeorm, extra: PgConfig): DataSource {
  return new DataSource({
    type: 'postgres',
    extra,
    // Values would be in the log.
    logging: false,
    // What went wrong with an idle connection is of no interest: the pool makes another.
    poolErrorHandler: () => undefined,
    installExtensions: false,
    // pg-native takes no bytes.
    nativeDriver: false,
  });
}

function configOf({ url, options, maxConnections }: OwnServer): PgConfig {
  const { extra, host, port, username, password, database, ssl, applicationName, connectTimeoutMS } = options;
  return {
    ...DEFAULTS,
    application_name: 'cachekit',
    ...extra,
    ...withoutUndefined({
      host,
      port,
      user: username,
      password,
      database,
      ssl,
      application_name: applicationName,
    }),
    ...(url !== undefined && { connectionString: url }),
    connectionTimeoutMillis: connectTimeoutMS ?? CONNECT_MS,
    max: maxConnections,
    // A process that has nothing else to do may end.
    allowExitOnIdle: true,
  };
}

function withoutUndefined(options: PgConfig): PgConfig {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
