import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { EntryTooLargeError } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describeOn } from '../servers/describe-on.js';

const MINUTE_MS = 60_000;
const HUNDRED_YEARS_MS = 100 * 365 * 24 * 60 * MINUTE_MS;

describeOn('redis', 'RedisBackend', () => {
  /** Another app, on the same Redis. */
  let other: Redis;
  beforeAll(() => {
    other = new Redis(inject('redisUrl'));
  });
  afterAll(() => other.quit());

  test('keeps an entry under namespace and key, behind its version and a blank', async () => {
    const { backend, namespace } = makeBackend();
    const { version } = await backend.set('price:of:tea', Buffer.from('ck1 ...'), MINUTE_MS);

    expect(version).toMatch(/^[\w-]{21}$/);
    expect(await other.get(`${namespace}:price:of:tea`)).toBe(`${version} ck1 ...`);
  });

  test('lets Redis drop an entry to the millisecond', async () => {
    const { backend, namespace } = makeBackend();
    await backend.set('set', Buffer.from('x'), MINUTE_MS + 0.5);
    await backend.replace('absent', undefined, Buffer.from('x'), MINUTE_MS);
    const { version } = await backend.set('seen', Buffer.from('x'), Infinity);
    await backend.replace('seen', version, Buffer.from('y'), MINUTE_MS);

    for (const key of ['set', 'absent', 'seen']) {
      const leftMs = await other.pttl(`${namespace}:${key}`);
      expect(leftMs).toBeGreaterThan(MINUTE_MS - 10_000);
      expect(leftMs).toBeLessThanOrEqual(MINUTE_MS + 1);
    }
  });

  test('takes a ttl of a hundred years, of longer than any date, and without an end', async () => {
    const { backend, namespace } = makeBackend();
    await backend.set('century', Buffer.from('x'), HUNDRED_YEARS_MS);
    await backend.set('eternity', Buffer.from('x'), 1e300);
    await backend.set('endless', Buffer.from('x'), Infinity);
    const { version } = await backend.set('replaced', Buffer.from('x'), MINUTE_MS);
    await backend.replace('replaced', version, Buffer.from('y'), Infinity);

    expect(await other.pttl(`${namespace}:century`)).toBeGreaterThan(HUNDRED_YEARS_MS - 10_000);
    expect(await other.pttl(`${namespace}:eternity`)).toBeGreaterThan(HUNDRED_YEARS_MS);
    expect(await other.pttl(`${namespace}:endless`)).toBe(-1);
    expect(await other.pttl(`${namespace}:replaced`)).toBe(-1);
  });

  test.each([
    '',
    'short',
    'longer than the version of an entry',
    `${'v'.repeat(21)} with a blank in that place`,
  ])('reports what somebody else wrote under its key, and can write over it: "%s"', async (foreign) => {
    const { backend, namespace } = makeBackend();
    await other.set(`${namespace}:key`, foreign);
    const [found] = await backend.getMany(['key']);

    expect(found).toEqual(await backend.get('key'));
    expect(foreign.endsWith(Buffer.from(found?.bytes ?? 'missing').toString())).toBe(true);
    expect(await backend.replace('key', undefined, Buffer.from('no'), MINUTE_MS)).toBeUndefined();
    expect(
      await backend.replace('key', 'another version here!', Buffer.from('no'), MINUTE_MS),
    ).toBeUndefined();
    expect(await backend.replace('key', found?.version, Buffer.from('mine'), MINUTE_MS)).toBeDefined();
    expect((await bytesOf(backend, 'key')).toString()).toBe('mine');
  });

  test('takes a list, or any other type of Redis, for absent, and can write over it', async () => {
    const { backend, namespace } = makeBackend();
    await other.rpush(`${namespace}:list`, 'a', 'b');
    await other.hset(`${namespace}:hash`, 'a', 'b');

    expect(await backend.get('list')).toBeUndefined();
    expect(await backend.getMany(['list', 'hash'])).toEqual([undefined, undefined]);
    expect(await backend.replace('list', 'v'.repeat(21), Buffer.from('no'), MINUTE_MS)).toBeUndefined();
    expect(await backend.replace('list', undefined, Buffer.from('mine'), MINUTE_MS)).toBeDefined();
    await backend.set('hash', Buffer.from('mine'), MINUTE_MS);
    expect((await bytesOf(backend, 'list')).toString()).toBe('mine');
    expect((await bytesOf(backend, 'hash')).toString()).toBe('mine');
  });

  test('clears thousands of entries of its namespace and nothing else', { timeout: 120_000 }, async () => {
    const { backend, namespace } = makeBackend();
    const { backend: child } = makeBackend({ namespace: `${namespace}.eu` });
    const foreign = [
      namespace,
      `${namespace}:`.slice(1),
      `x${namespace}:key`,
      `${namespace}_:key`,
      `${namespace}*`,
    ];
    await other.mset(Object.fromEntries(foreign.map((name) => [name, 'kept'])));
    await child.set('key', Buffer.from('kept'), MINUTE_MS);
    const keys = Array.from({ length: 10_000 }, (_, index) => `[${index}]*?\\`);
    await Promise.all(keys.map((key) => backend.set(key, Buffer.from('x'), MINUTE_MS)));
    await backend.set('', Buffer.from('x'), MINUTE_MS);
    const before = performance.now();
    await backend.clear();
    console.info(`RedisBackend clears 10,001 entries in ${Math.round(performance.now() - before)} ms`);

    expect(await backend.getMany(['', ...keys])).toEqual(Array(10_001).fill(undefined));
    expect(await other.mget(foreign)).toEqual(Array(foreign.length).fill('kept'));
    expect((await bytesOf(child, 'key')).toString()).toBe('kept');
    await other.unlink(foreign);
  });

  test('refuses what no string of Redis can hold, and keeps what was there', async () => {
    const { backend } = makeBackend();
    const { version } = await backend.set('key', Buffer.from('x'), MINUTE_MS);
    const halfAGigabyte = new Uint8Array(512 * 1024 * 1024);

    await expect(backend.set('key', halfAGigabyte, MINUTE_MS)).rejects.toBeInstanceOf(EntryTooLargeError);
    await expect(backend.replace('key', version, halfAGigabyte, MINUTE_MS)).rejects.toThrow(
      /RedisBackend.*"key"/,
    );
    expect((await backend.get('key'))?.version).toBe(version);
  });

  test('works through a client of the app, with a keyPrefix of its own', async () => {
    const client = new Redis(inject('redisUrl'), { keyPrefix: 'app[*]?^-\\:' });
    onTestFinished(() => client.disconnect());
    const namespace = `t-${randomUUID()}`;
    const backend = new RedisBackend({ client, namespace });
    await other.set(`${namespace}:key`, 'of nobody with a prefix');
    await backend.set('key', Buffer.from('x'), MINUTE_MS);
    const { version } = await backend.set('second', Buffer.from('x'), MINUTE_MS);

    expect(await other.exists(`app[*]?^-\\:${namespace}:key`)).toBe(1);
    expect(await backend.replace('second', version, Buffer.from('y'), MINUTE_MS)).toBeDefined();
    await backend.clear();
    expect(await backend.getMany(['key', 'second'])).toEqual([undefined, undefined]);
    expect(await other.getdel(`${namespace}:key`)).toBe('of nobody with a prefix');
  });

  function makeBackend({ namespace = `t-${randomUUID()}` } = {}) {
    const backend = new RedisBackend({ url: inject('redisUrl'), namespace });
    onTestFinished(async () => {
      await backend.clear();
      await backend.close();
    });
    return { backend, namespace };
  }

  async function bytesOf(backend: RedisBackend, key: string): Promise<Buffer> {
    const found = await backend.get(key);
    if (!found) throw new Error(`There is no entry "${key}".`);
    return Buffer.from(found.bytes);
  }
});
