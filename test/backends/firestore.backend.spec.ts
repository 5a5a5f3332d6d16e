import { Firestore, Timestamp } from '@google-cloud/firestore';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { EntryTooLargeError } from 'nestjs-cachekit';
import { FirestoreBackend, type FirestoreBackendOptions } from 'nestjs-cachekit/firestore';
import { describeOn } from '../servers/describe-on.js';
import { clientOf } from '../servers/firestore.server.js';
import { until } from '../servers/until.js';

const MINUTE_MS = 60_000;
const HUNDRED_YEARS_MS = 100 * 365 * 24 * 60 * MINUTE_MS;
const LARGEST = 1024 * 1024 - 4 * 1024;

describeOn('firestore', 'FirestoreBackend', () => {
  /** Another app, on the same database. */
  let other: Firestore;
  beforeAll(() => {
    other = clientOf(inject('firestoreHost'));
  });
  afterAll(() => other.terminate());

  test('keeps an entry as a document below collection and namespace, with its bytes and when it expires', async () => {
    const { backend, entries } = makeBackend();
    await backend.set('price:of:tea', Buffer.from('ck1 ...'), MINUTE_MS);
    const document = await entries.doc('price:of:tea').get();

    expect(document.data()).toEqual({
      bytes: Buffer.from('ck1 ...'),
      expiresAt: expect.any(Timestamp),
      write: expect.stringMatching(/^[\w-]{12}$/),
    });
  });

  test('marks an entry with the moment of its end, and one without an end with none', async () => {
    const { backend, entries } = makeBackend();
    const before = Date.now();
    await backend.set('minute', Buffer.from('x'), MINUTE_MS);
    await backend.set('century', Buffer.from('x'), HUNDRED_YEARS_MS);
    await backend.set('eternity', Buffer.from('x'), 1e300);
    const { version } = await backend.set('endless', Buffer.from('x'), MINUTE_MS);
    await backend.replace('endless', version, Buffer.from('x'), Infinity);
    const ends = await other.getAll(
      ...['minute', 'century', 'eternity', 'endless'].map((id) => entries.doc(id)),
    );
    const [minute, century, ...others] = ends.map((found): unknown => found.get('expiresAt'));

    expect(minute instanceof Timestamp && minute.toMillis() - before).toBeGreaterThanOrEqual(MINUTE_MS);
    expect(minute instanceof Timestamp && minute.toMillis() - before).toBeLessThan(MINUTE_MS + 20_000);
    expect(century instanceof Timestamp && century.toDate().getFullYear()).toBeGreaterThan(2100);
    expect(others).toEqual([null, null]);
  });

  test('gives each write a version of its own where Firestore itself sees no change', async () => {
    const { backend, entries } = makeBackend();
    const first = await entries.doc('plain').set({ same: true });
    const second = await entries.doc('plain').set({ same: true });
    const versions = new Set<string>();
    for (let times = 0; times < 20; times++) {
      versions.add((await backend.set('key', Buffer.from('same'), Infinity)).version);
    }

    expect(second.writeTime.isEqual(first.writeTime)).toBe(true);
    expect(versions.size).toBe(20);
  });

  test('shares nothing with a backend of the same namespace in another collection', async () => {
    const { backend, namespace } = makeBackend();
    const { backend: elsewhere } = makeBackend({ namespace, collection: 'another' });
    await backend.set('key', Buffer.from('x'), MINUTE_MS);

    expect(await elsewhere.get('key')).toBeUndefined();
    await elsewhere.clear();
    expect(await backend.get('key')).toBeDefined();
  });

  test('replaces nothing that is gone, nor what has another version, nor one that is no version', async () => {
    const { backend } = makeBackend();
    const { version } = await backend.set('key', Buffer.from('x'), MINUTE_MS);
    await backend.delete(['key']);

    expect(await backend.replace('key', version, Buffer.from('y'), MINUTE_MS)).toBeUndefined();
    await backend.set('key', Buffer.from('z'), MINUTE_MS);
    for (const seen of [version, '', 'no version', '1.5', '99999999999999.000000', `${version}0`]) {
      expect(await backend.replace('key', seen, Buffer.from('y'), MINUTE_MS)).toBeUndefined();
    }
    expect(Buffer.from((await backend.get('key'))?.bytes ?? []).toString()).toBe('z');
  });

  test('keeps keys apart that Firestore would not take, or take for one another', async () => {
    const { backend, entries } = makeBackend();
    const keys = ['', '.', '..', '%', '%2E', '%25', '/', '%2F', 'a/b', 'a%2Fb', '__x__', '%5F_x__', '____'];
    const long = ['/'.repeat(1_024), '/'.repeat(1_025), '%2F'.repeat(400)];
    await Promise.all([...keys, ...long].map((key) => backend.set(key, Buffer.from(`of ${key}`), MINUTE_MS)));
    const found = await backend.getMany([...keys, ...long]);

    expect(found.map((each) => Buffer.from(each?.bytes ?? []).toString())).toEqual(
      [...keys, ...long].map((key) => `of ${key}`),
    );
    const ids = (await entries.listDocuments()).map(({ id }) => id);
    expect(ids).toEqual(
      expect.arrayContaining(['%', '%2E', '%2E.', '%25', '%252E', '%2F', 'a%2Fb', '%5F_x__']),
    );
    expect(ids).toHaveLength(keys.length + long.length);
  });

  test.each(['.', '..', '__shop__'])(
    'takes the namespace "%s", which is no id for Firestore',
    async (namespace) => {
      const collection = `c-${randomUUID()}`;
      const { backend } = makeBackend({ namespace, collection });
      await backend.set('key', Buffer.from('x'), MINUTE_MS);

      expect(await backend.get('key')).toBeDefined();
    },
  );

  test('reports what somebody else wrote under its key, and can write over it', async () => {
    const { backend, entries } = makeBackend();
    await entries.doc('foreign').set({ bytes: 'a text', more: [1, 2] });
    const found = await backend.get('foreign');

    expect(found?.bytes).toHaveLength(0);
    expect(await backend.replace('foreign', undefined, Buffer.from('no'), MINUTE_MS)).toBeUndefined();
    expect(await backend.replace('foreign', found?.version, Buffer.from('mine'), MINUTE_MS)).toBeDefined();
    expect(Buffer.from((await backend.get('foreign'))?.bytes ?? []).toString()).toBe('mine');
  });

  test('sees its own write in a read that begins after it, whatever other reads are under way', async () => {
    const { backend } = makeBackend();
    const reads: Promise<unknown>[] = [];
    for (let round = 0; round < 30; round++) {
      reads.push(backend.get('key'));
      const { version } = await backend.set('key', Buffer.from(`${round}`), MINUTE_MS);
      reads.push(backend.get('key').then((found) => expect(found?.version).toBe(version)));
      await reads.at(-1);
    }

    expect(await Promise.all(reads)).toHaveLength(60);
  });

  test('takes the largest entry there is room for, refuses a larger one, and keeps what was there', async () => {
    const namespace = 'n'.repeat(64);
    const { backend } = makeBackend({ namespace, collection: 'c'.repeat(64) });
    const key = randomUUID().padEnd(1_024, 'k');
    const { version } = await backend.set(key, Buffer.alloc(LARGEST), MINUTE_MS);

    await expect(backend.set(key, Buffer.alloc(LARGEST + 1), MINUTE_MS)).rejects.toBeInstanceOf(
      EntryTooLargeError,
    );
    await expect(backend.replace(key, version, Buffer.alloc(2 * LARGEST), MINUTE_MS)).rejects.toThrow(
      /FirestoreBackend.*2088960 bytes, more than the 1044480/,
    );
    expect((await backend.get(key))?.version).toBe(version);
    await backend.delete([key]);
  });

  test('reads many large entries in one go', async () => {
    const { backend } = makeBackend();
    const keys = Array.from({ length: 20 }, (_, index) => `key${index}`);
    await Promise.all(keys.map((key) => backend.set(key, Buffer.alloc(1_000_000, key), MINUTE_MS)));
    const found = await backend.getMany(keys);

    expect(found.map((each) => each?.bytes.byteLength)).toEqual(keys.map(() => 1_000_000));
  });

  test('clears 10,000 entries of its namespace and nothing else', { timeout: 120_000 }, async () => {
    const { backend, namespace, entries } = makeBackend();
    const { backend: child } = makeBackend({ namespace: `${namespace}.eu` });
    const foreign = [
      other.doc(`cachekit/${namespace}`),
      other.doc(`cachekit/${namespace}/cachekit-of-another/key`),
      other.doc(`cachekit/${namespace}/cachekit/key/below/it`),
      other.doc(`${namespace}/key`),
    ];
    await Promise.all(foreign.map((document) => document.set({ kept: true })));
    await child.set('key', Buffer.from('kept'), MINUTE_MS);
    const keys = Array.from({ length: 10_000 }, (_, index) => `key ${index} /`);
    for (let from = 0; from < keys.length; from += 500) {
      const some = keys.slice(from, from + 500);
      await Promise.all(some.map((key) => backend.set(key, Buffer.from('x'), MINUTE_MS)));
    }
    const started = performance.now();
    await backend.clear();
    console.info(`FirestoreBackend.clear: 10,000 entries in ${Math.round(performance.now() - started)} ms`);

    expect((await entries.count().get()).data().count).toBe(0);
    const kept = await other.getAll(...foreign);
    expect(kept.map(({ exists }) => exists)).toEqual(foreign.map(() => true));
    expect(await child.get('key')).toBeDefined();
    await Promise.all(foreign.map((document) => document.delete()));
  });

  test('sweeps expired entries away, and no others', async () => {
    const { backend, namespace, entries } = makeBackend({ sweepInterval: '50ms' });
    const foreign = other.doc(`cachekit/${namespace}/of-another/expired`);
    await foreign.set({ expiresAt: new Date(0) });
    await backend.set('endless', Buffer.from('x'), Infinity);
    await backend.set('minute', Buffer.from('x'), MINUTE_MS);
    const short = Array.from({ length: 600 }, (_, index) => `short${index}`);
    await Promise.all(short.map((key) => backend.set(key, Buffer.from('x'), 1)));

    await until('only those are left that have not expired', async () => {
      const left = await entries.select().get();
      return left.docs.map(({ id }) => id).join() === 'endless,minute';
    });
    expect((await foreign.get()).exists).toBe(true);
    await foreign.delete();
  });

  test('sweeps while it is open, and not when it is told not to', async () => {
    const { backend: off, entries } = makeBackend({ sweepInterval: Infinity });
    const { backend } = makeBackend({ sweepInterval: '10ms' });
    await off.set('stays', Buffer.from('x'), 1);
    await backend.set('first', Buffer.from('x'), 1);
    await until('the first is swept', async () => (await backend.get('first')) === undefined);
    await backend.close();
    await backend.open();
    await backend.set('second', Buffer.from('x'), 1);
    await until('the second is swept', async () => (await backend.get('second')) === undefined);

    expect((await entries.doc('stays').get()).exists).toBe(true);
  });

  function makeBackend(options: Exclude<FirestoreBackendOptions, { client: Firestore }> = {}) {
    const { namespace = `t-${randomUUID()}`, collection = 'cachekit' } = options;
    const backend = new FirestoreBackend({ emulatorHost: inject('firestoreHost'), ...options, namespace });
    onTestFinished(async () => {
      await backend.clear();
      await backend.close();
    });
    return { backend, namespace, entries: other.collection(`${collection}/${namespace}/${collection}`) };
  }
});
