import { randomUUID } from 'node:crypto';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Client } from 'pg';
import { BackendTimeoutError } from 'nestjs-cachekit';
import { PostgresBackend, type PostgresBackendOptions } from 'nestjs-cachekit/postgres';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { stopTime } from '../connection/stop-time.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import type { PostgresProcess } from '../servers/postgres-process.js';
import { startPostgres } from '../servers/postgres.server.js';
import { makeTempFolder, removeTempFolder, writeTempFile } from '../servers/temp-folder.js';
import { lockTable, waitingForLocks } from './locked-table.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('postgres process', 'the connection of PostgresBackend', () => {
  let server: PostgresProcess;
  /** Another app, on the same Postgres. */
  let other: Client;
  beforeAll(async () => {
    server = await startPostgres();
    other = new Client({ connectionString: server.url });
    await other.connect();
  });
  afterAll(async () => {
    await other.end();
    await server.stop();
  });

  test('is of at most four at once, or as many as it is told', async () => {
    const [usual, told] = [await proxyTo(server.port), await proxyTo(server.port)];
    const backends = [make({ url: at(usual) }), make({ url: at(told), maxConnections: 2 })];
    const keys = Array.from({ length: 50 }, (_, index) => `${index}`);
    await Promise.all(backends.flatMap((backend) => keys.map((key) => backend.set(key, BYTES, MINUTE_MS))));

    expect([usual.openConnections, told.openConnections]).toEqual([4, 2]);
  });

  test('survives that the server ends it, under an operation or at rest', async () => {
    stopTime();
    const backend = make();
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cachekit'`;
    await backend.open();
    await other.query(end);
    await expect.poll(() => backend.get('key').catch(String)).toBeUndefined();
    await lockTable(server.url);
    const pending = failureOf(backend.get('key'));
    await expect.poll(() => waitingForLocks(other)).toBe(1);
    await other.query(end);

    expect((await pending).message).toContain('terminating connection');
  });

  test('tells a wrong password from an unknown database, without any password', async () => {
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
    onTestFinished(() => void vi.restoreAllMocks());
    const wrong = make({ url: server.url.replace(':cachekit@', ':p%40ssw0rd@') });
    const failure = await failureOf(wrong.open());
    const unknown = await failureOf(make({ url: `${server.url}_of_nobody` }).get('key'));

    expect(failure.message).toMatch(/password authentication failed.*Check user and password/);
    expect(unknown.message).toMatch(/"postgres_of_nobody" does not exist.*Create the database/);
    for (const shown of [failure, unknown, wrong]) {
      expect(inspect(shown, { depth: 9, showHidden: true })).not.toMatch(/p@ssw0rd|p%40ssw0rd/);
    }
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  });

  test('needs no more than the documented rights', async () => {
    const { url, role } = await makeRole();
    const table = anyTable();
    await make({ table }).open();
    await other.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${role}`);
    const backend = make({ url, table, sweepInterval: '50ms' });
    const { version } = await backend.set('key', BYTES, 1);

    expect(await backend.replace('key', version, BYTES, 1)).toBeDefined();
    expect(await backend.replace('second', undefined, BYTES, MINUTE_MS)).toBeDefined();
    await expect.poll(() => backend.get('key')).toBeUndefined();
    await backend.delete(['second']);
    await backend.clear();
    await backend.bus().send('message');
  });

  test('says which right a user lacks, and works once it is granted', async () => {
    const { url, role } = await makeRole();
    const table = anyTable();
    const backend = make({ url, table });
    const failure = await failureOf(backend.open());
    await make({ table }).open();
    await expect.poll(() => backend.get('key').catch(String)).toContain('permission denied for table');
    await other.query(`GRANT SELECT, INSERT ON ${table} TO ${role}`);

    expect(failure.message).toMatch(/permission denied for schema public.*CREATE on the schema.*migration/);
    expect(await backend.get('key')).toBeUndefined();
    expect((await failureOf(backend.set('key', Buffer.from('secret'), MINUTE_MS))).message).toContain(
      'Grant',
    );
  });

  test('never creates a table that the app creates by itself', async () => {
    const table = anyTable();
    const backend = make({ table, createTable: false });

    expect((await failureOf(backend.open())).message).toMatch(/is not there. Create it in a migration/);
    await other.query(
      MIGRATION.replaceAll('"cachekit"', table).replace('"cachekit_expires', `"${table}_expires`),
    );
    await expect
      .poll(() => backend.set('key', BYTES, MINUTE_MS).catch(String))
      .toMatchObject({ bytes: BYTES });
  });

  test('leaves a table alone that is of somebody else', async () => {
    const table = anyTable();
    await other.query(`CREATE TABLE ${table} (key text PRIMARY KEY, value text)`);
    const unique = anyTable();
    await make({ table: unique }).open();
    await other.query(`ALTER TABLE ${unique} DROP CONSTRAINT ${unique}_pkey`);

    for (const foreign of [table, unique]) {
      expect((await failureOf(make({ table: foreign }).get('key'))).message).toContain("is another's");
    }
  });

  test('takes no database that can not hold every text', async () => {
    const database = `latin_${randomUUID().slice(0, 8)}`;
    await other.query(
      `CREATE DATABASE ${database} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    const failure = await failureOf(make({ url: server.url.replace(/postgres$/, database) }).open());

    expect(failure.message).toContain('encoding LATIN1. It takes one with UTF8');
  });

  test('says that the server is read only, and works when it is not any more', async () => {
    await make().open();
    await other.query('ALTER DATABASE postgres SET default_transaction_read_only = on');
    onTestFinished(
      async () => void (await other.query('ALTER DATABASE postgres RESET default_transaction_read_only')),
    );
    const fresh = make();
    await fresh.open();

    expect((await failureOf(fresh.set('key', BYTES, MINUTE_MS))).message).toMatch(
      /read-only.*connect to the primary/,
    );
    await other.query('ALTER DATABASE postgres RESET default_transaction_read_only');
    await expect.poll(() => fresh.set('key', BYTES, MINUTE_MS).catch(String)).toMatchObject({ bytes: BYTES });
  });

  test('gives up a statement that waits for a lock, and does not leave it waiting', async () => {
    const backend = make();
    await backend.open();
    const unlock = await lockTable(server.url);
    const failures = await Promise.all([1, 2, 3, 4, 5, 6].map((key) => failureOf(backend.get(`${key}`))));

    expect(failures[0]).toBeInstanceOf(BackendTimeoutError);
    expect(failures[0]?.message).toMatch(/within 2000 ms.*locks the table/);
    await expect.poll(() => waitingForLocks(other)).toBe(0);
    await unlock();
    await expect.poll(() => backend.get('key').catch(String)).toBeUndefined();
  });

  test('does not take a standstill of this process for a long wait', async () => {
    const backend = make({ maxConnections: 1 });
    await backend.open();
    const writes = ['first', 'second', 'third'].map((key) => backend.set(key, BYTES, MINUTE_MS));
    standStill(3_000);

    expect(await Promise.all(writes)).toHaveLength(3);
  });

  test('goes over a unix socket', async () => {
    const options = { host: server.folder, port: server.port, username: 'cachekit', password: 'cachekit' };
    const backend = make({ url: undefined, options: { ...options, database: 'postgres' } });

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  function make(options: Partial<PostgresBackendOptions> = {}): PostgresBackend {
    const all = { namespace: `t-${randomUUID()}`, url: server.url, ...options };
    const backend = new PostgresBackend(all as PostgresBackendOptions);
    onTestFinished(() => backend.close());
    return backend;
  }

  function at(proxy: FaultProxy): string {
    return server.url.replace(/:\d+\//, `:${proxy.port}/`);
  }

  async function makeRole(): Promise<{ url: string; role: string }> {
    const role = `role_${randomUUID().slice(0, 8)}`;
    await other.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    return { role, url: server.url.replace('cachekit:cachekit', `${role}:secret`) };
  }

  function anyTable(): string {
    return `cache_${randomUUID().slice(0, 8)}`;
  }
});

describeOn('postgres process', 'PostgresBackend, where the server is special,', () => {
  test('waits for a standby to be promoted', async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    await server.kill();
    await writeTempFile(join(server.folder, 'data'), 'standby.signal', '');
    await server.restart();
    const backend = new PostgresBackend({ url: server.url });
    onTestFinished(() => backend.close());

    await expect(backend.open()).rejects.toThrow(/it is a standby. Connect to the primary/);
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query('SELECT pg_promote()');
    await client.end();
    await expect
      .poll(() => backend.set('key', BYTES, MINUTE_MS).catch(String))
      .toMatchObject({ bytes: BYTES });
  });

  test('loses what is in an unlogged table by a crash, and keeps what is in a durable one', async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const make = (table: string, durable: boolean): PostgresBackend => {
      const backend = new PostgresBackend({ url: server.url, table, durable });
      onTestFinished(() => backend.close());
      return backend;
    };
    const backends = [make('unlogged', false), make('logged', true)];
    await Promise.all(backends.map((backend) => backend.set('key', BYTES, MINUTE_MS)));
    await server.restart();
    const read = () => Promise.all(backends.map((backend) => backend.get('key')));

    await expect.poll(() => read().catch(() => [])).toMatchObject([undefined, { bytes: BYTES }]);
  });

  test('connects by TLS', async () => {
    const folder = await makeTempFolder('tls');
    onTestFinished(() => removeTempFolder(folder));
    const [key = '', ca = ''] = await Promise.all(['server.key.pem', 'server.cert.pem'].map(readCertificate));
    await writeTempFile(folder, 'key.pem', key);
    await chmod(join(folder, 'key.pem'), 0o600);
    await writeTempFile(folder, 'cert.pem', ca);
    const files = { ssl_key_file: join(folder, 'key.pem'), ssl_cert_file: join(folder, 'cert.pem') };
    const server = await startPostgres({ ssl: 'on', ...files });
    onTestFinished(() => server.stop());
    const use = async (ssl: boolean | { ca: string }): Promise<unknown> => {
      const backend = new PostgresBackend({ url: server.url, options: { ssl } });
      onTestFinished(() => backend.close());
      const bus = backend.bus();
      onTestFinished(() => bus.close());
      await bus.listen({ onMessage: () => undefined, onUp: () => undefined, onDown: () => undefined });
      return backend.set('key', BYTES, MINUTE_MS);
    };

    await expect(use({ ca })).resolves.toBeDefined();
    await expect(use(true)).rejects.toThrow(/self-signed certificate/);
  });

  /** Self-signed for 127.0.0.1, for a hundred years, and of no use to anybody else. */
  function readCertificate(name: string): Promise<string> {
    return readFile(join('test/backends/certificate', name), 'utf8');
  }
});

/** Lets the event loop stand still, as a long garbage collection does, while the server goes on. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The one of the guide. */
const MIGRATION =
  /```sql\n(CREATE UNLOGGED TABLE[^]*?)```/.exec(await readFile('docs/backends/postgres.md', 'utf8'))?.[1] ??
  '';
