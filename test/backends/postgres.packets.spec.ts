import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { PostgresBackend, type PostgresBackendOptions } from 'nestjs-cachekit/postgres';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { expect, inject, onTestFinished, test } from 'vitest';
import { describeOn } from '../servers/describe-on.js';
import { startPostgres } from '../servers/postgres.server.js';
import { setAtOnce } from './set-at-once.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');
/** Of a data source of the app. */
const QUIET = { poolErrorHandler: () => undefined, connectTimeoutMS: 2_000 };

/** With what Postgres ends its answer to a client that has connected. */
const READY = Buffer.from('Z\0\0\0\x05I', 'latin1');
/** How the message begins in which it tells a new client the number of its process, which comes next. */
const KEY_DATA = Buffer.from('K\0\0\0\x0c', 'latin1');
/** What it says to every client when it is killed. */
const FATAL = message(
  'E',
  'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0',
);

describeOn('postgres', 'PostgresBackend, where a server dies while a client connects,', () => {
  test('does not end the process, and goes on', async () => {
    const uncaught = collectUncaught();
    const server = await dyingServer();
    const backend = make({ url: server.url });
    await backend.open();
    await dieUnderWrites(server, backend);

    await expect.poll(() => setAtOnce(backend, 8)).toEqual(Array(8).fill('stored'));
    expect(uncaught).toEqual([]);
  });

  test('does not end the process, and goes on, over a data source of the app', async () => {
    const uncaught = collectUncaught();
    const server = await dyingServer();
    const dataSource = new DataSource({ type: 'postgres', url: server.url, ...QUIET });
    await dataSource.initialize();
    onTestFinished(() => dataSource.destroy());
    const backend = make({ dataSource });
    await backend.open();
    await dieUnderWrites(server, backend);

    await expect.poll(() => setAtOnce(backend, 8)).toEqual(Array(8).fill('stored'));
    expect(uncaught).toEqual([]);
  });

  test('does not end the process, and comes up, where that happens from the start', async () => {
    const uncaught = collectUncaught();
    const server = await dyingServer();
    server.deaths = 7;
    const backend = make({ url: server.url });
    await expect.poll(() => backend.get('key').catch(String)).toBeUndefined();

    expect(server.deaths).toBe(0);
    expect(uncaught).toEqual([]);
  });

  test('does not end the process, and hears again, where that happens to the bus', async () => {
    const uncaught = collectUncaught();
    const server = await dyingServer();
    server.deaths = 3;
    const bus = make({ url: server.url }).bus();
    onTestFinished(() => bus.close());
    const said: string[] = [];
    const listener = {
      onUp: () => void said.push('up'),
      onDown: () => undefined,
      onMessage: (text: string) => void said.push(text),
    };
    await bus.listen(listener).catch(() => undefined);
    await expect.poll(() => said).toEqual(['up']);
    await expect.poll(() => bus.send('message').catch(String)).toBeUndefined();

    await expect.poll(() => said).toEqual(['up', 'message']);
    expect(uncaught).toEqual([]);
  });

  /** Each write works, or has an error of its type. */
  async function dieUnderWrites(server: { deaths: number }, backend: PostgresBackend): Promise<void> {
    server.deaths = 3;
    for (const outcome of await setAtOnce(backend, 8)) {
      if (outcome !== 'stored') expect(outcome).toBeInstanceOf(BackendUnavailableError);
    }
    await expect.poll(() => server.deaths).toBe(0);
  }

  function make(options: PostgresBackendOptions): PostgresBackend {
    const backend = new PostgresBackend({ ...options, namespace: `t-${randomUUID()}` });
    onTestFinished(() => backend.close());
    return backend;
  }
});

describeOn('postgres process', 'A write of PostgresBackend whose connection was lost', () => {
  test.each(['its own data source', "the app's"])(
    'takes no effect after one that came later, on %s',
    async (whose) => {
      const server = await startPostgres();
      onTestFinished(() => server.stop());
      const other = new Client({ connectionString: server.url });
      onTestFinished(() => other.end());
      await other.connect();
      const way = await losingServer(server.url);
      const dataSource = new DataSource({ type: 'postgres', url: way.url, ...QUIET });
      const app = whose === "the app's" ? await dataSource.initialize() : undefined;
      if (app) onTestFinished(() => app.destroy());
      const backend = new PostgresBackend({
        maxConnections: 1,
        ...(app ? { dataSource: app } : { url: way.url }),
      });
      onTestFinished(() => backend.close());
      await backend.set('key', BYTES, MINUTE_MS);
      // What asks just now is another.
      const { rows } = await other.query(
        `SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO "public"."cachekit"%'`,
      );
      expect(rows).toHaveLength(1);
      const { pid } = rows[0];
      process.kill(pid, 'SIGSTOP');
      onTestFinished(() => goOn(pid));
      way.losesNext = true;
      await expect(backend.set('key', BYTES, MINUTE_MS)).rejects.toThrow(BackendUnavailableError);
      await expect.poll(() => backend.delete(['key']).catch(String), { timeout: 10_000 }).toBeUndefined();
      goOn(pid);
      await expect
        .poll(async () => (await other.query(`SELECT FROM pg_stat_activity WHERE pid = ${pid}`)).rowCount)
        .toBe(0);

      expect(await backend.get('key')).toBeUndefined();
    },
  );

  test('costs no other client its connection, where a pooler gives the number of that', async () => {
    const other = new Client({ connectionString: inject('postgresUrl') });
    onTestFinished(() => other.end());
    await other.connect();
    const { rows } = await other.query('SELECT pg_backend_pid() AS pid');
    const way = await losingServer(inject('postgresUrl'), rows[0].pid);
    const backend = new PostgresBackend({ url: way.url, namespace: `t-${randomUUID()}` });
    onTestFinished(() => backend.close());
    await backend.open();
    way.losesNext = true;
    await expect(backend.set('key', BYTES, MINUTE_MS)).rejects.toThrow(BackendUnavailableError);
    await expect.poll(() => backend.delete(['key']).catch(String)).toBeUndefined();

    expect((await other.query('SELECT pg_backend_pid() AS pid')).rows).toEqual(rows);
  });

  /** Lets a process go on that was stopped, if it is there. */
  function goOn(pid: number): void {
    try {
      process.kill(pid, 'SIGCONT');
    } catch (error) {
      expect(error).toMatchObject({ code: 'ESRCH' });
    }
  }
});

/** A way to the shared Postgres, on which so many of the next connections end as they would if it was killed. */
async function dyingServer(): Promise<{ readonly url: string; deaths: number }> {
  const way = { url: '', deaths: 0 };
  way.url = await relayTo(inject('postgresUrl'), (client, server) => {
    let isConnecting = true;
    client.pipe(server);
    server.on('data', (chunk: Buffer) => {
      const isReady = isConnecting && chunk.subarray(-READY.length).equals(READY);
      if (isReady) isConnecting = false;
      if (!isReady || way.deaths === 0) return void client.write(chunk);
      way.deaths -= 1;
      // In one piece: the client hears of the end before it can do anything else.
      client.end(Buffer.concat([chunk, FATAL]));
    });
  });
  return way;
}

/**
 * A way to a Postgres on which, when it is told to, a connection is lost as soon as the next statement has arrived.
 *
 * @param pid the number of another process, which it tells clients as that of their own. Absent: the real one
 */
async function losingServer(to: string, pid?: number): Promise<{ readonly url: string; losesNext: boolean }> {
  const way = { url: '', losesNext: false };
  way.url = await relayTo(to, (client, server) => {
    server.on('data', (chunk: Buffer) => {
      const at = chunk.indexOf(KEY_DATA);
      if (pid !== undefined && at >= 0) chunk.writeInt32BE(pid, at + KEY_DATA.length);
      client.write(chunk);
    });
    client.on('data', (chunk: Buffer) => {
      if (!way.losesNext) return void server.write(chunk);
      way.losesNext = false;
      server.end(chunk, () => client.resetAndDestroy());
    });
  });
  return way;
}

/** Accepts connections to a Postgres until the test ends, and answers where. */
async function relayTo(to: string, join: (client: Socket, server: Socket) => void): Promise<string> {
  const { hostname, port } = new URL(to);
  const listener = createServer((client) => {
    const server = connect(Number(port), hostname);
    const sockets = [client, server];
    for (const socket of sockets) {
      // An error is followed by "close".
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.forEach((one) => one.destroy()));
    }
    join(client, server);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  onTestFinished(() => void listener.close());
  const { port: here } = listener.address() as AddressInfo;
  return Object.assign(new URL(to), { host: `127.0.0.1:${here}` }).href;
}

/** A message of the protocol of Postgres: a letter, its length, and the rest. */
function message(type: string, text: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

/** What would end the process, from now until the test ends. */
function collectUncaught(): readonly unknown[] {
  const uncaught: unknown[] = [];
  const collect = (error: unknown): void => void uncaught.push(error);
  process.on('uncaughtException', collect);
  onTestFinished(() => void process.off('uncaughtException', collect));
  return uncaught;
}
