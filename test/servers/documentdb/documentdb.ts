import { extname, join } from 'node:path';
import { build } from 'vite';
import type { Packages } from '../debian-archive.js';
import { PostgresProcess } from '../postgres-process.js';
import { launchPostgres, postgresFromDebian, withPostgres } from '../postgres.server.js';
import type { Program } from '../program.js';
import { makeTempFolder, removeTempFolder, writeTempFile } from '../temp-folder.js';

/** The number of Postgres is in the package's name, and in its paths. */
const POSTGRES = '18';

const PACKAGES: Packages = {
  name: 'documentdb',
  packages: [`postgresql-${POSTGRES}-documentdb`],
  // Not in any release that is out.
  suite: 'forky',
  links: { [`usr/share/postgresql/${POSTGRES}/extension/postgis.control`]: 'postgis-3.control' },
  libraries: [`usr/lib/postgresql/${POSTGRES}/lib`],
};

/** The engine connects to itself, without a password. */
const ACCESS = 'host all all 127.0.0.1/32 trust\n';

const BUNDLE = 'gateway.mjs';

const CONFIG = {
  shared_preload_libraries: 'pg_cron,pg_documentdb_core,pg_documentdb',
  'cron.database_name': 'postgres',
  'cron.use_background_workers': 'on',
  max_worker_processes: '20',
  max_connections: '300',
  jit: 'off',
};

/** An engine that runs, and the program of gateways in front of it. */
export interface Documentdb {
  readonly gateway: Program;
  /** What the two are together, such as "DocumentDB 1.0 on PostgreSQL 18.6 (not mongod)". */
  readonly server: string;
  readonly stop: () => Promise<void>;
}

/**
 * Starts Microsoft's DocumentDB, the engine behind Azure's and FerretDB's MongoDB, from Debian's archive. Clients speak to
 * it through gateways: each is a process, which a test may kill as if it were the server. They share the engine.
 */
export async function startDocumentdb(): Promise<Documentdb> {
  const postgres = await postgresFromDebian(PACKAGES, POSTGRES);
  const folder = await makeTempFolder('documentdb');
  await writeTempFile(folder, 'pg_hba.conf', ACCESS);
  const config = { ...CONFIG, hba_file: join(folder, 'pg_hba.conf') };
  const [server] = await Promise.all([launchPostgres(postgres, config), bundleGateway(folder)]);
  const engine = new PostgresProcess(server);
  const stop = async (): Promise<void> => {
    await engine.stop();
    await removeTempFolder(folder);
  };
  try {
    const version = await createExtension(engine.url);
    return {
      gateway: { ...postgres, file: process.execPath, args: [join(folder, BUNDLE), '--engine', engine.url] },
      server: `DocumentDB ${version} on ${postgres.server} (not mongod)`,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createExtension(url: string): Promise<string> {
  return withPostgres(url, async (client) => {
    await client.query('CREATE EXTENSION documentdb CASCADE');
    const { rows } = await client.query<{ extversion: string }>(
      "SELECT extversion FROM pg_extension WHERE extname = 'documentdb'",
    );
    // "1.0-0" is the first build of 1.0.
    return rows[0]?.extversion.split('-')[0] ?? '';
  });
}

/** Makes one file of JavaScript, which the user that servers run as can read wherever this repository lies. */
async function bundleGateway(folder: string): Promise<void> {
  await build({
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      // Beside this file, compiled if this is.
      ssr: join(import.meta.dirname, `gateway${extname(import.meta.filename)}`),
      outDir: folder,
      emptyOutDir: false,
      rolldownOptions: { output: { entryFileNames: BUNDLE } },
    },
  });
}
