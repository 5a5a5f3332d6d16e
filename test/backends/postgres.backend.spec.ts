import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { BackendUnavailableError, EntryTooLargeError } from 'nestjs-cachekit';
import { PostgresBackend, type PostgresBackendOptions } from 'nestjs-cachekit/postgres';
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFinished, test, vi } from 'vitest';
import { stopTime } from '../connection/stop-time.js';
import { describeOn } from '../servers/describe-on.js';
import { lockTable } from './locked-table.js';

const MINUTE_MS = 60_000;
const HUNDRED_YEARS_MS = 100 * 365 * 24 * 60 * MINUTE_MS;
const BYTES = Buffer.from('x');

describeOn('postgres', 'PostgresBackend', () => {
  /** Another app, on the same Postgres. */
  let other: Client;
  beforeAll(async () => {
    other = new Client({ connectionString: inject('postgresUrl') });
    await other.connect();
  });
  afterAll(() => other.end());
  beforeEach(stopTime);

  test('keeps an entry in a row of its table', async () => {
    const { backend, namespace } = makeBackend();
    const { version } = await backend.set('price:of:tea', Buffer.from('ck1 ...'), MINUTE_MS);

    const { rows } = await other.query(
      `SELECT *, extract(epoch FROM expires_at - now()) AS left FROM cachekit WHERE namespace = $1`,
      [namespace],
    );
    expect(rows).toMatchObject([{ key: 'price:of:tea', version, bytes: Buffer.from('ck1 ...') }]);
    expect(Number(rows[0].left)).toBeGreaterThan(50);
    expect(Number(rows[0].left)).toBeLessThanOrEqual(60);
  });

  test('takes a ttl of a hundred years, of longer than any date, and without an end', async () => {
    const { backend, namespace } = makeBackend();
    await backend.set('century', BYTES, HUNDRED_YEARS_MS);
    await backend.set('eternity', BYTES, 1e300);
    await backend.set('endless', BYTES, Infinity);
    const { version } = await backend.set('replaced', BYTES, MINUTE_MS);
    await backend.replace('replaced', version, BYTES, Infinity);

    const { rows } = await other.query(
      `SELECT key FROM cachekit WHERE namespace = $1 AND expires_at IS NULL ORDER BY key`,
      [namespace],
    );
    expect(rows.map(({ key }) => key)).toEqual(['endless', 'eternity', 'replaced']);
    expect(await backend.get('century')).toBeDefined();
  });

  test('answers more callers of one entry at once than it lets statements wait', async () => {
    const { backend } = makeBackend();
    await backend.set('wanted', Buffer.from('by all'), MINUTE_MS);
    const answers = await Promise.all(Array.from({ length: 20_000 }, () => backend.get('wanted')));
    expect(new Set(answers.map((stored) => stored && Buffer.from(stored.bytes).toString()))).toEqual(
      new Set(['by all']),
    );
  });

  test('answers each of many callers at once with the entry it wants, or with none', async () => {
    const { backend } = makeBackend();
    const there = Array.from({ length: 150 }, (_, index) => `key ${index}`);
    for (const key of there) await backend.set(key, Buffer.from(key), MINUTE_MS);
    const wanted = [...there, 'missing', ...there.toReversed(), 'also missing'];
    const answers = await Promise.all(wanted.map((key) => backend.get(key)));
    expect(answers.map((stored) => stored && Buffer.from(stored.bytes).toString())).toEqual(
      wanted.map((key) => (key.endsWith('missing') ? undefined : key)),
    );
  });

  test('answers to each of many callers at once what it wrote or removed before it asked', async () => {
    const { backend } = makeBackend();
    const writeAndRead = async (_: unknown, caller: number): Promise<unknown[]> => {
      const key = `key of ${caller}`;
      const answers: unknown[] = [];
      for (const text of ['first', 'second']) {
        await backend.set(key, Buffer.from(text), MINUTE_MS);
        answers.push(String((await backend.get(key))?.bytes));
      }
      await backend.delete([key]);
      return [...answers, await backend.get(key)];
    };
    const callers = await Promise.all(Array.from({ length: 150 }, writeAndRead));
    expect(callers).toEqual(callers.map(() => ['first', 'second', undefined]));
  });

  test('rejects those who wait for a connection that dies, and answers who asks later', async () => {
    const table = anyTable();
    const { backend } = makeBackend({ table, maxConnections: 1 });
    await backend.set('key', BYTES, MINUTE_MS);
    const locker = await connect();
    await locker.query('BEGIN');
    await locker.query(`LOCK TABLE ${table}`);
    const ofTable = `FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${table}%'`;
    const sent = Promise.allSettled([backend.get('sent')]);
    await expect.poll(async () => (await other.query(`SELECT pid ${ofTable}`)).rowCount).toBe(1);
    const waiting = Promise.allSettled(['key', 'other'].map((key) => backend.get(key)));
    await other.query(`SELECT pg_terminate_backend(pid) ${ofTable}`);
    const rejected = { status: 'rejected', reason: expect.any(BackendUnavailableError) };
    expect([...(await sent), ...(await waiting)]).toEqual([rejected, rejected, rejected]);
    await locker.query('COMMIT');
    await expect.poll(() => backend.get('key').catch(() => undefined)).toMatchObject({ bytes: BYTES });
  });

  test('answers nothing after close, also where reads of before still wait', async () => {
    const { backend, unlock, before } = await withReadsThatWait();
    const closing = backend.close();
    const late = expect(backend.get('key')).rejects.toThrow(/it is closed/);
    await unlock();
    await Promise.all([late, closing, before]);
  });

  test('answers after close and open, whatever becomes of reads of before', async () => {
    const { backend, unlock, before } = await withReadsThatWait();
    const closing = backend.close();
    await backend.open();
    const answer = backend.get('key');
    await unlock();
    expect(await answer).toMatchObject({ bytes: BYTES });
    await Promise.all([closing, before]);
  });

  test('gives back every byte, whatever the app did to the parsers of pg', async () => {
    const { backend } = makeBackend();
    const bytes = Buffer.from(Array.from({ length: 5_120 }, (_, index) => index % 256));
    await backend.set('bytes', bytes, MINUTE_MS);
    await backend.set('none', new Uint8Array(), MINUTE_MS);
    const { types } = await import('pg');
    const [bytea, text] = [17, 25];
    const usual = [bytea, text].map((type) => types.getTypeParser(type));
    onTestFinished(() =>
      [bytea, text].forEach((type, index) => types.setTypeParser(type, usual[index] ?? String)),
    );
    types.setTypeParser(bytea, () => 'spoilt');
    types.setTypeParser(text, () => 'spoilt');

    expect(Buffer.compare(await bytesOf(backend, 'bytes'), bytes)).toBe(0);
    expect(await bytesOf(backend, 'none')).toHaveLength(0);
    expect((await backend.getMany(['none', 'bytes']))[1]?.bytes).toHaveLength(5_120);
  });

  test('keeps keys that Postgres takes in no text or no index', async () => {
    const { backend } = makeBackend();
    const keys = [
      '',
      '\0',
      'a\0b',
      '\uD800',
      '\uD801',
      'é'.repeat(5_000),
      `${'é'.repeat(4_999)}e`,
      '{"a,b"}',
      "'",
      'NULL',
      '\\"',
      'e\u0301',
      '\u00e9',
    ];
    await Promise.all(keys.map((key, index) => backend.set(key, Buffer.from(`${index}`), MINUTE_MS)));

    const found = await backend.getMany(keys);
    expect(found.map((stored) => Buffer.from(stored?.bytes ?? '').toString())).toEqual(
      keys.map((_, index) => `${index}`),
    );
    const alone = await Promise.all(keys.map((key) => backend.get(key)));
    expect(alone.map((stored) => stored?.version)).toEqual(found.map((stored) => stored?.version));
    await backend.delete(keys);
    expect(await backend.getMany(keys)).toEqual(keys.map(() => undefined));
  });

  test('reports an expired entry until its row is removed, and does not take it for absent', async () => {
    const { backend, namespace } = makeBackend();
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    await expire(namespace);

    expect((await backend.get('key'))?.version).toBe(version);
    expect(await backend.replace('key', undefined, BYTES, MINUTE_MS)).toBeUndefined();
    expect(await backend.replace('key', version, BYTES, MINUTE_MS)).toBeDefined();
  });

  test('replaces nothing for a version that is no version', async () => {
    const { backend } = makeBackend();
    await backend.set('key', BYTES, MINUTE_MS);

    expect(await backend.replace('key', 'not a uuid', BYTES, MINUTE_MS)).toBeUndefined();
  });

  test.each(['read committed', 'repeatable read', 'serializable'])(
    'has one winner of fifty, whoever saw what, and no failure, at the isolation level %s',
    async (level) => {
      const url = `${inject('postgresUrl')}?options=${encodeURIComponent(`-c default_transaction_isolation=${level.replace(' ', '\\ ')}`)}`;
      const { backend, namespace } = makeBackend({ url });
      const { backend: second } = makeBackend({ url, namespace });
      const writers = Array.from({ length: 50 }, (_, index) => (index % 2 ? backend : second));
      const race = async (seen: string | undefined): Promise<string[]> => {
        const results = await Promise.all(
          writers.map((writer) => writer.replace('key', seen, BYTES, MINUTE_MS)),
        );
        return results.flatMap((result) => (result ? [result.version] : []));
      };
      const first = await race(undefined);
      const next = await race(first[0]);
      await Promise.all(writers.map((writer) => writer.set('key', BYTES, MINUTE_MS)));

      expect([first.length, next.length]).toEqual([1, 1]);
      expect(await backend.replace('key', next[0], BYTES, MINUTE_MS)).toBeUndefined();
    },
  );

  test('clears ten thousand entries of its namespace and nothing else', async () => {
    const { backend, namespace } = makeBackend();
    const { backend: child } = makeBackend({ namespace: `${namespace}.eu` });
    const keys = ['', ...Array.from({ length: 10_000 }, (_, index) => `[${index}]*?\\%_`)];
    await fill(namespace, keys);
    await fill(`${namespace}.eu`, keys);
    await fill(`${namespace}_eu`, keys);
    const before = Date.now();
    await backend.clear();
    console.info(`PostgresBackend clears 10,001 entries in ${Date.now() - before} ms`);

    expect(await backend.getMany(keys)).toEqual(keys.map(() => undefined));
    expect(await child.getMany(keys)).not.toContain(undefined);
    expect(await count(`${namespace}_eu`)).toBe(10_001);
    await other.query(`DELETE FROM cachekit WHERE namespace = $1`, [`${namespace}_eu`]);
  });

  test('clears an entry that somebody is just writing over', async () => {
    const { backend, namespace } = makeBackend();
    const writer = await connect();
    await backend.set('key', BYTES, MINUTE_MS);
    await writer.query('BEGIN');
    await writer.query(`UPDATE cachekit SET bytes = 'y', version = gen_random_uuid() WHERE namespace = $1`, [
      namespace,
    ]);
    const cleared = backend.clear();
    await waitsForLock();
    await writer.query('COMMIT');
    await cleared;

    expect(await backend.get('key')).toBeUndefined();
  });

  test('removes the rows of what has expired, and no others', async () => {
    const { backend, namespace } = makeBackend({ sweepInterval: '50ms' });
    await backend.set('fresh', BYTES, MINUTE_MS);
    await backend.set('endless', BYTES, Infinity);
    await Promise.all(['a', 'b', 'c'].map((key) => backend.set(key, BYTES, 1)));

    await expect.poll(() => count(namespace)).toBe(2);
    expect(await backend.getMany(['fresh', 'endless'])).not.toContain(undefined);
  });

  test('removes expired rows in batches, past those that somebody holds', async () => {
    const table = anyTable();
    const { backend, namespace } = makeBackend({ table, sweepInterval: '50ms' });
    const holder = await connect();
    await fill(
      namespace,
      Array.from({ length: 12_000 }, (_, index) => `${index}`),
      table,
    );
    await expire(namespace, table);
    await holder.query('BEGIN');
    await holder.query(`SELECT FROM ${table} WHERE key = '7' FOR UPDATE`);
    await backend.open();

    await expect.poll(() => count(namespace, table)).toBe(1);
    await holder.query('COMMIT');
    await expect.poll(() => count(namespace, table)).toBe(0);
  });

  test('leaves the sweeping to who is at it', async () => {
    const table = anyTable();
    const { backend, namespace } = makeBackend({ table, sweepInterval: '20ms' });
    await backend.set('key', BYTES, 1);
    await expect.poll(() => count(namespace, table)).toBe(0);
    const sweeper = await connect();
    await sweeper.query('BEGIN');
    await sweeper.query(`SELECT pg_advisory_xact_lock(${(await lastSweep(table)).lock})`);
    await backend.set('key', BYTES, 1);
    const tries = new Set<number>();
    await expect.poll(async () => tries.add((await lastSweep(table)).atMs).size).toBeGreaterThan(3);

    expect(await count(namespace, table)).toBe(1);
    await sweeper.query('COMMIT');
    await expect.poll(() => count(namespace, table)).toBe(0);
  });

  test('makes its table, whoever else is making it: unlogged, with an index on the expiry', async () => {
    const table = anyTable();
    const backends = Array.from({ length: 20 }, () => makeBackend({ table }).backend);
    await Promise.all(backends.map((backend) => backend.open()));

    const { rows } = await other.query(
      `SELECT relpersistence, (SELECT count(*)::int FROM pg_indexes WHERE tablename = relname) AS indexes
       FROM pg_class WHERE relname = $1`,
      [table],
    );
    expect(rows).toEqual([{ relpersistence: 'u', indexes: 2 }]);
  });

  test('makes a durable table, and a schema, where it is told to', async () => {
    const [schema, table] = [`Schema_${randomUUID().slice(0, 8)}`, 'Cache'];
    onTestFinished(async () => void (await other.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)));
    const { backend } = makeBackend({ schema, table, durable: true });
    const { backend: second } = makeBackend({ schema, table, durable: true });
    await Promise.all([backend.open(), second.open()]);
    await backend.set('key', BYTES, MINUTE_MS);

    const { rows } = await other.query(`SELECT relpersistence FROM pg_class WHERE oid = $1::regclass`, [
      `"${schema}"."Cache"`,
    ]);
    expect(rows).toEqual([{ relpersistence: 'p' }]);
  });

  test('makes its table anew when somebody drops it', async () => {
    const table = anyTable();
    const { backend } = makeBackend({ table });
    await backend.set('key', BYTES, MINUTE_MS);
    await other.query(`DROP TABLE ${table}`);
    await expect(backend.get('key')).rejects.toThrow(/does not exist/);

    await expect.poll(() => backend.get('key').catch(String)).toBeUndefined();
  });

  test('refuses what no row should hold, and keeps what was there', async () => {
    const { backend } = makeBackend();
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    const tooMuch = new Uint8Array(64 * 1024 * 1024 + 1);

    await expect(backend.set('key', tooMuch, MINUTE_MS)).rejects.toBeInstanceOf(EntryTooLargeError);
    await expect(backend.replace('key', version, tooMuch, MINUTE_MS)).rejects.toThrow(
      /PostgresBackend.*"key"/,
    );
    expect((await backend.get('key'))?.version).toBe(version);
  });

  function makeBackend(options: Partial<PostgresBackendOptions> & { url?: string } = {}) {
    const namespace = options.namespace ?? `t-${randomUUID()}`;
    const { dataSource: _, ...others } = options;
    const backend = new PostgresBackend({ url: inject('postgresUrl'), ...others, namespace });
    onTestFinished(async () => {
      await backend.clear();
      await backend.close();
    });
    return { backend, namespace };
  }

  function anyTable(): string {
    const table = `cache_${randomUUID().slice(0, 8)}`;
    onTestFinished(async () => void (await other.query(`DROP TABLE IF EXISTS ${table}`)));
    return table;
  }

  async function connect(): Promise<Client> {
    const client = new Client({ connectionString: inject('postgresUrl') });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  }

  async function fill(namespace: string, keys: readonly string[], table = 'cachekit'): Promise<void> {
    await makeBackend({ namespace, table }).backend.open();
    await other.query(
      `INSERT INTO ${table} SELECT $1, key, gen_random_uuid(), now() + interval '1 hour', 'x'
       FROM unnest($2::text[]) AS key`,
      [namespace, keys],
    );
  }

  async function expire(namespace: string, table = 'cachekit'): Promise<void> {
    await other.query(`UPDATE ${table} SET expires_at = now() - interval '1 s' WHERE namespace = $1`, [
      namespace,
    ]);
  }

  /** A backend with one connection, on which a read waits for a lock, and another read behind it. */
  async function withReadsThatWait() {
    const table = anyTable();
    const backend = new PostgresBackend({ url: inject('postgresUrl'), table, maxConnections: 1 });
    onTestFinished(() => backend.close());
    await backend.set('key', BYTES, MINUTE_MS);
    const unlock = await lockTable(inject('postgresUrl'), table);
    const sent = backend.get('sent');
    await waitsForLock('relation');
    const before = Promise.allSettled([sent, backend.get('waiting')]);
    return { backend, before, unlock };
  }

  async function count(namespace: string, table = 'cachekit'): Promise<number> {
    const { rows } = await other.query(`SELECT count(*)::int AS n FROM ${table} WHERE namespace = $1`, [
      namespace,
    ]);
    return rows[0].n;
  }

  /** When a table was swept last, and the number of the lock for it. */
  async function lastSweep(table: string): Promise<{ lock: string; atMs: number }> {
    const look = `
      SELECT substring(query FROM 'pg_try_advisory_xact_lock\\((-?\\d+)\\)') AS lock,
        extract(epoch FROM query_start)::float * 1000 AS "atMs"
      FROM pg_stat_activity
      WHERE query LIKE '%pg_try_advisory%' AND query LIKE '%"${table}"%' AND pid <> pg_backend_pid()
      ORDER BY query_start DESC LIMIT 1`;
    return vi.waitUntil(async () => (await other.query(look)).rows[0], { timeout: 10_000 });
  }

  async function waitsForLock(kind: 'transactionid' | 'relation' = 'transactionid'): Promise<void> {
    const waiting = `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND locktype = '${kind}'`;
    await expect.poll(async () => (await other.query(waiting)).rows[0].n).toBeGreaterThan(0);
  }

  async function bytesOf(backend: PostgresBackend, key: string): Promise<Buffer> {
    const found = await backend.get(key);
    if (!found) throw new Error(`There is no entry "${key}".`);
    return Buffer.from(found.bytes);
  }
});
