import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { Client } from 'pg';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { PostgresBackend, type PostgresBackendOptions } from 'nestjs-cachekit/postgres';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { stopTime } from '../connection/stop-time.js';
import type { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import type { PostgresProcess } from '../servers/postgres-process.js';
import { startPostgres } from '../servers/postgres.server.js';
import { lockTable, waitingForLocks } from './locked-table.js';
import { setAtOnce } from './set-at-once.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('postgres process', "PostgresBackend over a data source of the app's", () => {
  let server: PostgresProcess;
  /** Another app, on the same Postgres. */
  let other: Client;
  beforeAll(async () => {
    server = await startPostgres();
    other = new Client({ connectionString: server.url });
    other.on('error', () => undefined);
    await other.connect();
  });
  afterAll(async () => {
    await other.end();
    await server.stop();
  });

  test('works, never ends it, and takes its listeners back', async () => {
    const dataSource = await makeDataSource();
    const backend = make(dataSource);
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    await backend.replace('key', version, BYTES, MINUTE_MS);
    const listeners = () => clientsOf(dataSource).map((client) => client.listenerCount('error'));
    const before = listeners();
    await setAtOnce(backend, 20);
    await backend.close();

    expect(Math.max(...listeners())).toBe(Math.max(...before));
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await backend.open();
    expect(await backend.get('key')).toBeDefined();
  });

  test.each([
    [10, 4],
    [6, 3],
    [1, 1],
  ])(
    'takes of a pool of %i at most %i connections, however long the table is locked',
    async (poolSize, most) => {
      stopTime();
      const dataSource = await makeDataSource({ poolSize });
      const backend = make(dataSource);
      await backend.open();
      const unlock = await lockTable(server.url);
      const pending = setAtOnce(backend, 30);
      await expect.poll(() => waitingForLocks(other)).toBe(most);

      if (poolSize > 1) expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(await waitingForLocks(other)).toBe(most);
      await unlock();
      expect(new Set(await pending)).toEqual(new Set(['stored']));
    },
  );

  test('cancels what waits for a lock, and gives the very same connections back', async () => {
    stopTime();
    const dataSource = await makeDataSource();
    const backend = make(dataSource);
    await setAtOnce(backend, 10);
    await expect.poll(() => pidsOf(dataSource)).not.toContain(0);
    const before = pidsOf(dataSource);
    const unlock = await lockTable(server.url);
    const pending = setAtOnce(backend, 4);
    await expect.poll(() => waitingForLocks(other)).toBe(4);
    vi.advanceTimersByTime(2_000);
    const failures = await pending;
    await expect.poll(() => waitingForLocks(other)).toBe(0);
    await unlock();

    for (const failure of failures) {
      expect(failure).toMatchObject({ message: expect.stringMatching(/within 2000 ms.*locks the table/) });
    }
    expect(await backend.get('key')).toBeUndefined();
    expect(pidsOf(dataSource)).toEqual(before);
  });

  test('logs no value, and no key', async () => {
    const logged: unknown[] = [];
    // What else comes with it is the way it was sent.
    const log = (...all: unknown[]): void => {
      logged.push(...all.filter((one) => typeof one === 'string' || Array.isArray(one)));
    };
    const logger = {
      log,
      logQuery: log,
      logQueryError: log,
      logQuerySlow: log,
      logMigration: log,
      logSchemaBuild: log,
    };
    const dataSource = await makeDataSource({ logger, logging: 'all', maxQueryExecutionTime: 1 });
    const backend = make(dataSource);
    await backend.set('key of somebody', Buffer.from('value of somebody'), MINUTE_MS);
    await failureOf(make(dataSource, { table: 'missing', createTable: false }).get('key of somebody'));

    expect(logged.length).toBeGreaterThan(0);
    expect(inspect(logged, { depth: 9 })).not.toMatch(/of somebody|"cachekit"|"missing"/);
  });

  test('does without prepared statements where a pooler loses them', async () => {
    const dataSource = await makeDataSource({ poolSize: 1 });
    const backend = make(dataSource);
    await backend.set('key', BYTES, MINUTE_MS);
    await dataSource.query('DEALLOCATE ALL');

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
    await dataSource.query('DEALLOCATE ALL');
    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('outlives a synchronization of the schema', async () => {
    const dataSource = await makeDataSource({ synchronize: true, entities: [] });
    const backend = make(dataSource);
    await backend.set('key', BYTES, MINUTE_MS);
    await dataSource.synchronize();

    expect(await backend.get('key')).toBeDefined();
  });

  test('says that the app has not initialized it, and works once it has', async () => {
    const dataSource = new DataSource({ type: 'postgres', url: server.url });
    onTestFinished(() => dataSource.destroy());
    const backend = make(dataSource);

    expect((await failureOf(backend.open())).message).toMatch(/not initialized.*initialize\(\)/);
    await dataSource.initialize();
    await expect
      .poll(() => backend.set('key', BYTES, MINUTE_MS).catch(String))
      .toMatchObject({ bytes: BYTES });
  });

  test('says that the app has destroyed it, and does not keep it from doing so', async () => {
    const dataSource = await new DataSource({ type: 'postgres', url: server.url }).initialize();
    const backend = make(dataSource);
    await backend.get('key');
    const pending = setAtOnce(backend, 20);
    await dataSource.destroy();
    await pending;

    await failureOf(backend.get('key'));
    await expect.poll(() => backend.get('key').catch(String)).toContain('was destroyed');
  });

  test('rejects, and goes on, when the app has taken all connections for itself', async () => {
    const dataSource = await makeDataSource({ poolSize: 2, connectTimeoutMS: 0 });
    const backend = make(dataSource);
    await backend.open();
    const runners = [dataSource.createQueryRunner(), dataSource.createQueryRunner()];
    await Promise.all(runners.map((runner) => runner.connect()));
    const failure = await failureOf(backend.get('key'));
    await Promise.all(runners.map((runner) => runner.release()));

    expect(failure.message).toContain('the app may hold all of them');
    await expect.poll(() => backend.get('key').catch(String)).toBeUndefined();
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test.each<[string, (proxy: FaultProxy) => unknown, (proxy: FaultProxy) => unknown]>([
    ['cut', (proxy) => proxy.cut('rst'), () => undefined],
    ['ended', (proxy) => proxy.cut('fin'), () => undefined],
    ['refused', (proxy) => proxy.takeDown(), (proxy) => proxy.bringUp()],
    ['stalled', (proxy) => proxy.stall(), (proxy) => proxy.pass()],
    ['swallowed by the network', (proxy) => proxy.blackhole(), (proxy) => proxy.pass()],
  ])('comes back after its connections were %s, and so does the app', async (_, begin, end) => {
    const proxy = await proxyTo(server.port);
    const dataSource = await makeDataSource({ url: server.url.replace(/:\d+\//, `:${proxy.port}/`) });
    const backend = make(dataSource);
    await setAtOnce(backend, 20);
    await begin(proxy);
    const during = await setAtOnce(backend, 20);
    await end(proxy);
    await expect
      .poll(() => backend.set('key', BYTES, MINUTE_MS).catch(String))
      .toMatchObject({ bytes: BYTES });

    for (const outcome of during) {
      if (outcome !== 'stored') expect(outcome).toBeInstanceOf(BackendUnavailableError);
    }
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('comes back after the server was killed and started again', async () => {
    const dataSource = await makeDataSource();
    const backend = make(dataSource);
    await backend.get('key');
    await server.restart();

    await expect
      .poll(() => backend.set('key', BYTES, MINUTE_MS).catch(String))
      .toMatchObject({ bytes: BYTES });
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    other = new Client({ connectionString: server.url });
    await other.connect();
  });

  async function makeDataSource(options: Partial<DataSourceOptions> = {}): Promise<DataSource> {
    const usual = { poolErrorHandler: () => undefined, connectTimeoutMS: 2_000 };
    const all = { type: 'postgres', url: server.url, ...usual, ...options };
    const dataSource = await new DataSource(all as DataSourceOptions).initialize();
    onTestFinished(() => dataSource.destroy());
    return dataSource;
  }

  function make(dataSource: DataSource, options: Partial<PostgresBackendOptions> = {}): PostgresBackend {
    const all = { namespace: `t-${randomUUID()}`, dataSource, ...options };
    const backend = new PostgresBackend(all as PostgresBackendOptions);
    onTestFinished(() => backend.close());
    return backend;
  }
});

/** The connections of a data source, which only its pool knows. */
function clientsOf(dataSource: DataSource): EventEmitter[] {
  const pool: unknown = Reflect.get(Reflect.get(dataSource.driver, 'master'), '_clients');
  return (pool as EventEmitter[]).filter((client) => client instanceof EventEmitter);
}

function pidsOf(dataSource: DataSource): number[] {
  return clientsOf(dataSource).map((client) => Number(Reflect.get(client, 'processID')));
}
