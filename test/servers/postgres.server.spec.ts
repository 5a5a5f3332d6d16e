import { access, readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { describeOn } from './describe-on.js';
import type { PostgresProcess } from './postgres-process.js';
import { startPostgres, withPostgres } from './postgres.server.js';

describeOn('postgres', 'the Postgres that all specs share', () => {
  test('answers', async () => {
    expect(await valueOf(inject('postgresUrl'), `SELECT 'pong' AS value`)).toBe('pong');
  });
});

describeOn('postgres process', "a Postgres of one's own", () => {
  let server: PostgresProcess;
  beforeAll(async () => {
    server = await startPostgres({ work_mem: '7MB' });
  });
  afterAll(() => server.stop());

  test('has the settings it is given', async () => {
    expect(await valueOf(server.url, `SELECT current_setting('work_mem') AS value`)).toBe('7MB');
  });

  test('asks for the password', async () => {
    const wrong = server.url.replace(/:cachekit@/, ':wrong@');
    await expect(valueOf(wrong, 'SELECT 1 AS value')).rejects.toThrow('password authentication failed');
  });

  test('refuses connections once it is killed, and has its tables after a restart', async () => {
    const { url } = server;
    await valueOf(url, 'CREATE TABLE kept AS SELECT 42 AS value');
    await server.kill();
    await expect(valueOf(url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    expect(server.url).toBe(url);
    expect(await valueOf(url, 'SELECT value FROM kept')).toBe(42);
  });

  test('leaves clients without an answer while it is frozen, and answers when it is thawed', async () => {
    const client = new Client({ connectionString: server.url });
    onTestFinished(() => client.end());
    await client.connect();
    await server.freeze();
    const answer = client.query(`SELECT 'late' AS value`);
    await expect(valueOf(server.url, 'SELECT 1', { connectionTimeoutMillis: 50 })).rejects.toThrow('timeout');
    await server.thaw();
    expect((await answer).rows).toEqual([{ value: 'late' }]);
  });

  test('can be killed while it is frozen', async () => {
    await server.freeze();
    await server.restart();
    expect(await valueOf(server.url, 'SELECT 1 AS value')).toBe(1);
  });

  test.runIf(process.platform === 'linux')('does not run as root', async () => {
    const [pid] = (await readFile(`${server.folder}/data/postmaster.pid`, 'utf8')).split('\n');
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
  });

  test('leaves no process and no data when it is stopped, even while it is frozen or in use', async () => {
    const another = await startPostgres();
    await withPostgres(another.url, async () => {
      await another.freeze();
      await another.stop();
      await another.stop();
    });
    await expect(access(another.folder)).rejects.toThrow('ENOENT');
    await expect(valueOf(another.url, 'SELECT 1')).rejects.toThrow();
  });

  test('says what the server printed when it can not start', async () => {
    await expect(startPostgres({ no_such_setting: 'x' })).rejects.toThrow(/postgres ended.*no_such_setting/s);
  });
});

async function valueOf(url: string, query: string, options = {}): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, ...options });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ value: unknown }>(query);
    return rows[0]?.value;
  } finally {
    await client.end();
  }
}
