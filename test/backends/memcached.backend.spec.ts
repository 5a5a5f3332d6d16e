import { Client } from 'memjs';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { EntryTooLargeError } from 'nestjs-cachekit';
import { MemcachedBackend } from 'nestjs-cachekit/memcached';
import { describeOn } from '../servers/describe-on.js';
import { startMemcached } from '../servers/memcached.server.js';
import { until } from '../servers/until.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const ITEM_BYTES = 1024 * 1024;

describeOn('memcached', 'MemcachedBackend', () => {
  /** Another app, on the same memcached. */
  let other: Client;
  beforeAll(() => {
    other = makeClient(inject('memcachedUrl'));
  });
  afterAll(() => other.close());

  test('keeps an entry under namespace and key, behind the generation and a blank', async () => {
    const { backend, namespace } = makeBackend();
    await backend.set('price:of:tea', Buffer.from('ck1 ...'), MINUTE_MS);
    const generation = await textOf(`${namespace}~generation`);

    expect(generation).toMatch(/^single[\w-]{16}$/);
    expect(await textOf(`${namespace}:price:of:tea`)).toBe(`${generation} ck1 ...`);
  });

  test('lets memcached drop an entry, and not before its ttl is over', async () => {
    const { backend, namespace } = makeBackend();
    const { version } = await backend.set('seen', Buffer.from('x'), Infinity);
    const started = performance.now();
    await backend.set('set', Buffer.from('x'), 1_000);
    await backend.replace('absent', undefined, Buffer.from('x'), 1_000);
    await backend.replace('seen', version, Buffer.from('y'), 1_000);
    const untilGone = async (key: string): Promise<number> => {
      await until(`${key} is gone`, async () => (await textOf(`${namespace}:${key}`)) === undefined);
      return performance.now() - started;
    };

    // A busy machine sees it later, never earlier.
    for (const goneMs of await Promise.all(['set', 'absent', 'seen'].map(untilGone))) {
      expect(goneMs).toBeGreaterThanOrEqual(1_000);
    }
  });

  test.each([
    ['a millisecond', 1],
    ['30 days', 30 * DAY_MS],
    ['30 days and a second', 30 * DAY_MS + 1_000],
    ['30 years, past 2038', 30 * 365 * DAY_MS],
    ['a century, past 2106', 100 * 365 * DAY_MS],
    ['more than any date', 1e300],
    ['no end', Infinity],
  ])('takes a ttl of %s', async (_, ttlMs) => {
    const { backend } = makeBackend();
    const isFoundAgain = async (): Promise<boolean> => {
      const { version } = await backend.set('key', Buffer.from('x'), ttlMs);
      return (await backend.get('key'))?.version === version;
    };

    // The shortest may be over before it is read, where the machine stands still in between.
    await expect.poll(isFoundAgain).toBe(true);
  });

  test.each(['', 'short', 'x'.repeat(22), `${'x'.repeat(22)} with a blank in that place`])(
    'takes for absent what somebody else wrote under its key, and writes over it: "%s"',
    async (foreign) => {
      const { backend, namespace } = makeBackend();
      await other.set(`${namespace}:key`, foreign, {});

      expect(await backend.get('key')).toBeUndefined();
      expect(await backend.replace('key', undefined, Buffer.from('mine'), MINUTE_MS)).toBeDefined();
      expect(await textIn(backend, 'key')).toBe('mine');
    },
  );

  test.each(['', '0', '0'.repeat(16), '0'.repeat(38), 'zz'.repeat(19), 'a version of another backend'])(
    'writes over nothing for a version that it never gave: "%s"',
    async (version) => {
      const { backend } = makeBackend();
      await backend.set('key', Buffer.from('kept'), MINUTE_MS);

      expect(await backend.replace('key', version, Buffer.from('no'), MINUTE_MS)).toBeUndefined();
      expect(await textIn(backend, 'key')).toBe('kept');
    },
  );

  test('refuses what memcached would, and keeps what was there', async () => {
    const { backend } = makeBackend();
    const { version } = await backend.set('key', Buffer.from('x'), MINUTE_MS);
    const tooLarge = Buffer.alloc(ITEM_BYTES - 511);

    await expect(backend.set('key', tooLarge, MINUTE_MS)).rejects.toThrow(EntryTooLargeError);
    await expect(backend.replace('key', version, tooLarge, MINUTE_MS)).rejects.toThrow(
      /MemcachedBackend.*"key"/,
    );
    await expect(backend.replace('new', undefined, tooLarge, MINUTE_MS)).rejects.toThrow(EntryTooLargeError);
    expect((await backend.get('key'))?.version).toBe(version);
  });

  test('takes the largest entry that it does not refuse, under the longest name', async () => {
    const { backend } = makeBackend();
    const largest = Buffer.alloc(ITEM_BYTES - 512, 'x');
    const key = 'k'.repeat(180);
    await backend.set(key, largest, MINUTE_MS);

    expect(Buffer.compare((await backend.get(key))?.bytes ?? Buffer.of(), largest)).toBe(0);
  });

  describe('clear', () => {
    test(
      'of 10,000 entries is one write, beside a foreign namespace and foreign data',
      { timeout: 120_000 },
      async () => {
        const { backend, namespace } = makeBackend();
        const { backend: child } = makeBackend({ namespace: `${namespace}.eu` });
        const foreign = [namespace, `${namespace}:`, `x${namespace}:key`, `${namespace}~`];
        for (const name of foreign) await other.set(name, 'kept', {});
        await child.set('key', Buffer.from('kept'), MINUTE_MS);
        const keys = Array.from({ length: 10_000 }, (_, index) => `key ${index}`);
        await Promise.all(keys.map((key) => backend.set(key, Buffer.from('x'), Infinity)));
        const started = performance.now();
        await backend.clear();
        console.info(
          `MemcachedBackend: cleared 10,000 entries in ${(performance.now() - started).toFixed(1)} ms`,
        );

        expect(await backend.getMany(keys)).toEqual(Array(10_000).fill(undefined));
        for (const name of foreign) expect(await textOf(name)).toBe('kept');
        expect(await textIn(child, 'key')).toBe('kept');
      },
    );

    test('leaves a process that has not read since able to set and to put an absent entry', async () => {
      const { backend, namespace } = makeBackend();
      const { backend: second } = makeBackend({ namespace });
      for (const key of ['set', 'put']) await second.set(key, Buffer.from('x'), MINUTE_MS);
      await backend.clear();
      await second.set('set', Buffer.from('after'), MINUTE_MS);
      await backend.clear();
      const put = await second.replace('put', undefined, Buffer.from('after'), MINUTE_MS);
      await backend.clear();
      const fresh = await second.replace('never there', undefined, Buffer.from('after'), MINUTE_MS);

      expect(put).toBeDefined();
      expect((await backend.get('never there'))?.version).toBe(fresh?.version);
      expect(await backend.getMany(['set', 'put'])).toEqual([undefined, undefined]);
    });
  });

  describe('when memcached has evicted its marker', () => {
    test('takes all entries for absent, and never finds them again', async () => {
      const { backend, namespace } = makeBackend();
      const { version } = await backend.set('key', Buffer.from('old'), MINUTE_MS);
      await other.delete(`${namespace}~generation`);

      expect(await backend.get('key')).toBeUndefined();
      expect(await backend.replace('key', version, Buffer.from('late'), MINUTE_MS)).toBeUndefined();
      await backend.set('another', Buffer.from('new'), MINUTE_MS);
      expect(await textIn(backend, 'another')).toBe('new');
      expect(await backend.get('key')).toBeUndefined();
      expect(await backend.replace('key', undefined, Buffer.from('new'), MINUTE_MS)).toBeDefined();
      expect(await textIn(backend, 'key')).toBe('new');
    });

    test('begins one new generation, however many write at the same time', async () => {
      const { backend, namespace } = makeBackend();
      const { backend: second } = makeBackend({ namespace });
      await Promise.all([backend, second].map((each) => each.set('key', Buffer.from('x'), MINUTE_MS)));
      await other.delete(`${namespace}~generation`);
      const keys = Array.from({ length: 40 }, (_, index) => `key${index}`);
      await Promise.all(
        keys.map((key, index) => (index % 2 ? backend : second).set(key, Buffer.from(key), MINUTE_MS)),
      );

      expect(await backend.getMany(keys)).not.toContain(undefined);
    });

    test('does not take for it what somebody else wrote there', async () => {
      const { backend, namespace } = makeBackend();
      await other.set(`${namespace}~generation`, 'of somebody else', {});

      expect(await backend.get('key')).toBeUndefined();
      await backend.set('key', Buffer.from('x'), MINUTE_MS);
      expect(await textIn(backend, 'key')).toBe('x');
    });
  });

  test('takes no servers, no user and no password from the environment', async () => {
    for (const name of ['MEMCACHIER', 'MEMCACHE']) {
      vi.stubEnv(`${name}_SERVERS`, '127.0.0.1:1');
      vi.stubEnv(`${name}_USERNAME`, 'somebody');
      vi.stubEnv(`${name}_PASSWORD`, 'secret');
    }
    onTestFinished(() => void vi.unstubAllEnvs());
    const { backend, namespace } = makeBackend();
    await backend.set('key', Buffer.from('x'), MINUTE_MS);

    expect(await textOf(`${namespace}:key`)).toMatch(/ x$/);
    await expect(new MemcachedBackend().open()).rejects.toThrow('localhost:11211');
  });

  function makeBackend({ namespace = `t-${randomUUID()}` } = {}) {
    const backend = new MemcachedBackend({ url: inject('memcachedUrl'), namespace });
    onTestFinished(() => backend.close());
    return { backend, namespace };
  }

  async function textOf(name: string): Promise<string | undefined> {
    return (await other.get(name)).value?.toString();
  }
});

describeOn('memcached process', 'MemcachedBackend', () => {
  test('learns from the server how large an entry may be', async () => {
    const server = await start(['-I', '2m']);
    const backend = make(server.url);
    const entry = Buffer.alloc(2 * ITEM_BYTES - 512, 'x');
    await backend.set('key', entry, MINUTE_MS);

    expect((await backend.get('key'))?.bytes).toHaveLength(entry.length);
    await expect(backend.set('key', Buffer.alloc(2 * ITEM_BYTES), MINUTE_MS)).rejects.toMatchObject({
      name: 'EntryTooLargeError',
      limitBytes: entry.length,
    });
    expect(await backend.get('key')).toBeDefined();
  });

  test('loses the oldest entries, and works on, when memcached has no more room', async () => {
    const server = await start(['-m', '4']);
    const backend = make(server.url);
    const keys = Array.from({ length: 300 }, (_, index) => `key${index}`);
    for (const key of keys) await backend.set(key, Buffer.alloc(100_000), Infinity);
    const found = await backend.getMany(keys);

    expect(found[0]).toBeUndefined();
    expect(found.at(-1)).toBeDefined();
  });

  test('says what to do about a server that is full and evicts nothing', async () => {
    const server = await start(['-m', '4', '-M']);
    const backend = make(server.url);
    const fill = async () => {
      for (let index = 0; index < 300; index++)
        await backend.set(`${index}`, Buffer.alloc(100_000), Infinity);
    };

    await expect(fill()).rejects.toThrow(/refused a command: Out of memory.*without -M/);
    expect(await backend.get('0')).toBeDefined();
  });

  test('refuses to work with a server that can not compare before it writes', async () => {
    const server = await start(['-C']);
    const backend = make(server.url);

    await expect(backend.set('key', Buffer.from('x'), MINUTE_MS)).rejects.toThrow(/started with -C/);
    await expect(backend.get('key')).rejects.toThrow(/started with -C/);
  });

  test('does not take the version of before a restart for one of after it', async () => {
    const server = await start();
    const backend = make(server.url);
    const { version } = await backend.set('key', Buffer.from('before'), MINUTE_MS);
    await server.restart();
    await until('it is back', () =>
      backend.set('key', Buffer.from('after'), MINUTE_MS).then(
        () => true,
        () => false,
      ),
    );
    for (let count = 0; count < 20; count++) await backend.set('key', Buffer.from('after'), MINUTE_MS);

    expect(await backend.replace('key', version, Buffer.from('late'), MINUTE_MS)).toBeUndefined();
    expect(await textIn(backend, 'key')).toBe('after');
  });

  test('reads many entries in one piece, and its marker once for all of them', async () => {
    const server = await start();
    const backend = make(server.url);
    const keys = Array.from({ length: 100 }, (_, index) => `key${index}`);
    await Promise.all(keys.map((key) => backend.set(key, Buffer.from(key), MINUTE_MS)));
    const before = await getsOf(server.url);
    const found = await backend.getMany(keys);

    expect(found.map((each) => Buffer.from(each?.bytes ?? []).toString())).toEqual(keys);
    expect((await getsOf(server.url)) - before).toBe(101);
  });

  async function start(args: readonly string[] = []) {
    const server = await startMemcached(args);
    onTestFinished(() => server.stop());
    return server;
  }

  function make(url: string): MemcachedBackend {
    const backend = new MemcachedBackend({ url });
    onTestFinished(() => backend.close());
    return backend;
  }
});

/** How many gets a memcached has answered. */
async function getsOf(url: string): Promise<number> {
  const client = makeClient(url);
  const gets = await new Promise<number>((resolve, reject) => {
    client.stats((error, _, stats) => (error ? reject(error) : resolve(Number(stats?.['cmd_get']))));
  });
  client.close();
  return gets;
}

function makeClient(url: string): Client {
  const logger = { log: () => undefined };
  return Client.create(new URL(url).host, { logger });
}

async function textIn(backend: MemcachedBackend, key: string): Promise<string | undefined> {
  const found = await backend.get(key);
  return found && Buffer.from(found.bytes).toString();
}
