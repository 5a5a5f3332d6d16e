import { randomUUID } from 'node:crypto';
import { MongoClient, type Collection, type CommandStartedEvent, type Document } from 'mongodb';
import { EntryTooLargeError } from 'nestjs-cachekit';
import { MongoDBBackend, type MongoDBBackendOptions } from 'nestjs-cachekit/mongodb';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { describeOn } from '../servers/describe-on.js';

const MINUTE_MS = 60_000;
const HUNDRED_YEARS_MS = 100 * 365 * 24 * 60 * MINUTE_MS;
const BYTES = Buffer.from('x');
/** A busy server may take longer for large documents than the driver would wait for it, and for its other answers. */
const PATIENT = { socketTimeoutMS: 25_000, connectTimeoutMS: 25_000 };

interface AnyDocument extends Document {
  readonly _id: string;
}

describeOn('mongodb', 'MongoDBBackend', () => {
  /** Another app, on the same MongoDB. */
  let other: MongoClient;
  /** Where entries lie by default. */
  let entries: Collection<AnyDocument>;
  beforeAll(async () => {
    other = await new MongoClient(inject('mongodbUrl')).connect();
    entries = other.db('cachekit').collection('cachekit');
  });
  afterAll(() => other.close());

  test('keeps an entry in a document, with its namespace, key, version and bytes, and a Date', async () => {
    const { backend, namespace } = makeBackend();
    const before = Date.now();
    const { version } = await backend.set('price:of:tea', Buffer.from('ck1 ...'), MINUTE_MS + 0.5);
    const found = await entries.findOne({ _id: `${namespace}:price:of:tea` }, { promoteBuffers: true });

    expect(found).toMatchObject({ version, bytes: Buffer.from('ck1 ...'), expiresAt: expect.any(Date) });
    expect(Object.keys(found ?? {}).sort()).toEqual(['_id', 'bytes', 'expiresAt', 'version']);
    const leftMs = Number(found?.['expiresAt']) - before;
    expect(leftMs).toBeGreaterThan(MINUTE_MS);
    expect(leftMs).toBeLessThan(2 * MINUTE_MS);
  });

  test('takes a ttl of a hundred years, of longer than any date, and without an end', async () => {
    const { backend, namespace } = makeBackend();
    await backend.set('century', BYTES, HUNDRED_YEARS_MS);
    await backend.set('eternity', BYTES, 1e300);
    await backend.set('endless', BYTES, Infinity);
    const { version } = await backend.set('replaced', BYTES, MINUTE_MS);
    await backend.replace('replaced', version, BYTES, Infinity);
    await backend.set('overwritten', BYTES, MINUTE_MS);
    await backend.set('overwritten', BYTES, Infinity);

    const found = await entries
      .find({ _id: new RegExp(`^${namespace}:`), expiresAt: { $exists: false } })
      .toArray();
    const endless = ['endless', 'eternity', 'overwritten', 'replaced'];
    expect(found.map(({ _id }) => _id).sort()).toEqual(endless.map((key) => `${namespace}:${key}`));
    expect(await backend.get('century')).toBeDefined();
  });

  test('makes a TTL index, by which MongoDB removes what has expired, and nothing else', async () => {
    const { backend, collection } = makeBackend({ collection: anyCollection() });
    await backend.set('set', BYTES, 1);
    await backend.replace('absent', undefined, BYTES, 1);
    const { version } = await backend.set('seen', BYTES, Infinity);
    await backend.replace('seen', version, BYTES, 1);
    await backend.set('fresh', BYTES, MINUTE_MS);
    await backend.set('endless', BYTES, Infinity);

    expect(await collection.indexes()).toContainEqual(
      expect.objectContaining({ key: { expiresAt: 1 }, expireAfterSeconds: 0 }),
    );
    await expect.poll(() => collection.countDocuments()).toBe(2);
    expect(await backend.getMany(['fresh', 'endless'])).not.toContain(undefined);
  });

  test('reports an expired entry until its document is removed, and does not take it for absent', async () => {
    const { backend, namespace } = makeBackend();
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    // No Date, so that no thread removes it while this test looks.
    await entries.updateOne({ _id: `${namespace}:key` }, { $set: { expiresAt: 0 } });

    expect((await backend.get('key'))?.version).toBe(version);
    expect(await backend.replace('key', undefined, BYTES, MINUTE_MS)).toBeUndefined();
    expect(await backend.replace('key', version, BYTES, MINUTE_MS)).toBeDefined();
  });

  test.each<[string, object]>([
    ['has no fields', {}],
    ['has a version and bytes of other types', { version: 7, bytes: 'text', expiresAt: 'soon' }],
    ['has a version that is empty', { version: '', bytes: BYTES }],
    ['has a version, and bytes of a kind of their own', { version: 'mine', bytes: { a: 1 } }],
  ])(
    'reports what somebody else wrote under its key, and can write over it, where it %s',
    async (_, fields) => {
      const { backend, namespace } = makeBackend();
      await entries.insertOne({ _id: `${namespace}:key`, ...fields });
      const [found] = await backend.getMany(['key']);

      expect(found).toEqual(await backend.get('key'));
      expect(await backend.replace('key', undefined, Buffer.from('no'), MINUTE_MS)).toBeUndefined();
      expect(await backend.replace('key', 'another', Buffer.from('no'), MINUTE_MS)).toBeUndefined();
      expect(await backend.replace('key', found?.version, Buffer.from('mine'), MINUTE_MS)).toBeDefined();
      expect((await bytesOf(backend, 'key')).toString()).toBe('mine');
    },
  );

  test('reads and removes more of the longest keys than one command takes', async () => {
    const { backend } = makeBackend();
    const keys = Array.from({ length: 12_000 }, (_, index) => `${index}:`.padEnd(900, 'x'));
    const some = ['0:', '5000:', '11999:'].map((key) => key.padEnd(900, 'x'));
    await Promise.all(some.map((key) => backend.set(key, Buffer.from(key.slice(0, 5)), MINUTE_MS)));
    const found = await backend.getMany(keys);

    expect(found.filter((stored) => stored !== undefined)).toHaveLength(3);
    expect(Buffer.from(found[5_000]?.bytes ?? []).toString()).toBe('5000:');
    await backend.delete(keys);
    expect(await backend.getMany(some)).toEqual([undefined, undefined, undefined]);
  });

  test.each([1, 300])(
    'reads with few commands what a thousand ask for at once, of %i entries',
    async (count) => {
      const { client, commands } = await makeClient({ socketTimeoutMS: 25_000 });
      const { backend } = makeBackend({ client });
      const keys = Array.from({ length: count }, (_, index) => `${index}`);
      for (const key of keys) await backend.set(key, Buffer.from(key), MINUTE_MS);
      commands.length = 0;
      const asked = Array.from({ length: 1_000 }, (_, index) => `${index % count}`);
      const found = await Promise.all(asked.map((key) => backend.get(key)));

      expect(found.map((entry) => Buffer.from(entry?.bytes ?? []).toString())).toEqual(asked);
      // 16 at once, the others by 64.
      expect(commands.length).toBeLessThanOrEqual(16 + Math.ceil(1_000 / 64));
    },
  );

  test('answers by no read that was sent before a write ended', async () => {
    const { backend } = makeBackend();
    for (let round = 0; round < 50; round++) {
      const reads = Array.from({ length: 40 }, () => backend.get('key'));
      const { version } = await backend.set('key', BYTES, MINUTE_MS);
      expect((await backend.get('key'))?.version).toBe(version);
      await Promise.all(reads);
    }
  });

  test('reads more at once than fits into one answer', async () => {
    const { backend } = makeBackend({ options: PATIENT });
    const keys = Array.from({ length: 5 }, (_, index) => `${index}`);
    for (const key of keys) await backend.set(key, Buffer.alloc(5 * 1024 * 1024, key), MINUTE_MS);

    const found = await backend.getMany(keys);
    expect(found.map((stored) => Buffer.from(stored?.bytes ?? []).toString('utf8', 0, 1))).toEqual(keys);
  });

  test('clears ten thousand entries of its namespace and nothing else', async () => {
    const { backend, namespace, collection } = makeBackend({ collection: anyCollection() });
    const keys = ['', ...Array.from({ length: 10_000 }, (_, index) => `[${index}]*?\\^.$`)];
    const foreign = [
      namespace,
      `${namespace};`,
      `${namespace}/:key`,
      `${namespace}.eu:key`,
      `${namespace.slice(1)}:key`,
      `x${namespace}:key`,
      namespace.toUpperCase() + ':key',
    ];
    await backend.open();
    const documents = [...keys.map((key) => `${namespace}:${key}`), ...foreign].map((_id) => ({
      _id,
      version: 'v',
    }));
    await collection.insertMany([...documents, { _id: 7 as unknown as string }]);
    const before = performance.now();
    await backend.clear();
    console.info(`MongoDBBackend clears 10,001 entries in ${Math.round(performance.now() - before)} ms`);

    const left = await collection.find().toArray();
    expect(left.map(({ _id }) => String(_id)).sort()).toEqual([...foreign, '7'].sort());
  });

  test('refuses what no document can hold, and keeps what was there', async () => {
    const { backend } = makeBackend({ options: PATIENT });
    const key = 'k'.repeat(5_000);
    const { version } = await backend.set(key, BYTES, MINUTE_MS);
    const most = 16 * 1024 * 1024 - 2 * 1024;

    await expect(backend.set(key, new Uint8Array(most + 1), MINUTE_MS)).rejects.toBeInstanceOf(
      EntryTooLargeError,
    );
    await expect(backend.replace(key, version, new Uint8Array(most + 1), MINUTE_MS)).rejects.toThrow(
      /MongoDBBackend.*"kkk.*16775168 allowed/,
    );
    expect((await backend.get(key))?.version).toBe(version);
    await backend.set(key, new Uint8Array(most), MINUTE_MS);
    expect(await bytesOf(backend, key)).toHaveLength(most);
  });

  test('uses database and collection of the url, of the options, or those named after itself', async () => {
    const [database, name] = [`db-${randomUUID().slice(0, 8)}`, anyCollection()];
    onTestFinished(async () => void (await other.db(database).dropDatabase()));
    const namespace = `t-${randomUUID()}`;
    for (const options of [
      { url: `${inject('mongodbUrl')}/${database}`, collection: name },
      { url: inject('mongodbUrl'), database, collection: `${name}.2` },
      { client: other, database, collection: `${name}.3` },
      { db: other.db(database), collection: `${name}.4` },
      { collection: other.db(database).collection(`${name}.5`) },
    ]) {
      const { backend } = makeBackend({ ...options, namespace });
      await backend.set('key', BYTES, MINUTE_MS);
    }
    for (const each of ['', '.2', '.3', '.4', '.5']) {
      const found = other.db(database).collection<AnyDocument>(`${name}${each}`);
      expect(await found.countDocuments({ _id: `${namespace}:key` })).toBe(1);
    }
  });

  test('reads from the primary and writes to a majority, whatever a client of the app prefers', async () => {
    const { client, commands } = await makeClient({
      readPreference: 'secondaryPreferred',
      readConcern: { level: 'available' },
      writeConcern: { w: 1, j: false },
    });
    const { backend } = makeBackend({ client, database: 'cachekit' });
    await useAll(backend);

    const reads = commands.filter(({ commandName }) => commandName === 'find');
    const writes = commands.filter(({ commandName }) =>
      /insert|update|delete|createIndexes/.test(commandName),
    );
    expect(reads.length).toBeGreaterThan(2);
    for (const { command } of reads) {
      expect(command['readConcern']).toEqual({ level: 'local' });
      expect(command['$readPreference'] ?? { mode: 'primary' }).toEqual({ mode: 'primary' });
    }
    expect(new Set(writes.map(({ commandName }) => commandName))).toHaveLength(4);
    for (const { command } of writes) {
      expect(command['writeConcern']).toEqual({ w: 'majority', wtimeout: 1_000 });
    }
  });

  test('writes as it is told to', async () => {
    const { client, commands } = await makeClient({});
    const { backend } = makeBackend({
      client,
      database: 'cachekit',
      writeConcern: { w: 1, j: true, wtimeoutMS: 50 },
    });
    await backend.set('key', BYTES, MINUTE_MS);

    const concerns = commands.flatMap(({ command }) => command['writeConcern'] ?? []);
    expect(concerns).not.toEqual([]);
    for (const concern of concerns) expect(concern).toEqual({ w: 1, j: true, wtimeout: 50 });
  });

  test('gives back bytes through a client that reads BSON in its own way', async () => {
    const { client } = await makeClient({ raw: true, promoteBuffers: false, promoteValues: false });
    const { backend } = makeBackend({ client, database: 'cachekit' });
    const { version } = await backend.set('key', BYTES, MINUTE_MS);

    expect(await backend.get('key')).toEqual({ version, bytes: BYTES });
    expect(await backend.getMany(['key'])).toEqual([{ version, bytes: BYTES }]);
    expect(await backend.replace('key', version, BYTES, MINUTE_MS)).toBeDefined();
    await backend.clear();
    expect(await backend.get('key')).toBeUndefined();
  });

  function makeBackend(options: MongoDBBackendOptions = {}) {
    const namespace = options.namespace ?? `t-${randomUUID()}`;
    const isOwn = !('client' in options || 'db' in options || typeof options.collection === 'object');
    const backend = new MongoDBBackend({
      ...(isOwn && { url: inject('mongodbUrl') }),
      ...options,
      namespace,
    } as MongoDBBackendOptions);
    onTestFinished(async () => {
      await backend.clear();
      await backend.close();
    });
    const name = typeof options.collection === 'string' ? options.collection : 'cachekit';
    return { backend, namespace, collection: other.db('cachekit').collection<AnyDocument>(name) };
  }

  function anyCollection(): string {
    const name = `cache-${randomUUID().slice(0, 8)}`;
    onTestFinished(async () => void (await other.db('cachekit').dropCollection(name)));
    return name;
  }

  async function makeClient(options: object) {
    const client = new MongoClient(inject('mongodbUrl'), { ...options, monitorCommands: true });
    const commands: CommandStartedEvent[] = [];
    client.on('commandStarted', (event) => commands.push(event));
    onTestFinished(() => client.close());
    return { client, commands };
  }

  async function useAll(backend: MongoDBBackend): Promise<void> {
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    await backend.get('key');
    await backend.getMany(['key', 'other']);
    await backend.replace('key', version, BYTES, MINUTE_MS);
    await backend.replace('key', version, BYTES, MINUTE_MS);
    await backend.replace('other', undefined, BYTES, MINUTE_MS);
    await backend.replace('other', undefined, BYTES, MINUTE_MS);
    await backend.delete(['key']);
    await backend.clear();
  }

  async function bytesOf(backend: MongoDBBackend, key: string): Promise<Buffer> {
    const found = await backend.get(key);
    if (!found) throw new Error(`There is no entry "${key}".`);
    return Buffer.from(found.bytes);
  }
});
