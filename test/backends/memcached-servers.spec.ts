import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { BackendUnavailableError, CacheService } from 'nestjs-cachekit';
import { MemcachedBackend } from 'nestjs-cachekit/memcached';
import { FaultProxy } from '../faults/fault-proxy.js';
import { patient } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { startMemcached } from '../servers/memcached.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';

const MINUTE_MS = 60_000;
const KEYS = Array.from({ length: 60 }, (_, index) => `key${index}`);

describeOn('memcached process', 'a MemcachedBackend on three servers', () => {
  let processes: ServerProcess[];
  beforeAll(async () => {
    processes = await Promise.all([startMemcached(), startMemcached(), startMemcached()]);
  });
  afterAll(() => Promise.all(processes.map((each) => each.stop())));

  test('puts keys on all of them, each on the same one, however they are listed', async () => {
    const { proxies, servers, namespace } = await network();
    const backend = make(servers, namespace);
    const reversed = make(servers.toReversed(), namespace);
    await fill(backend);

    expect(await textsIn(reversed, KEYS)).toEqual(KEYS);
    for (const proxy of proxies) expect((await readableWithout(proxy, reversed)).length).toBeLessThan(60);
  });

  test('goes on with the keys of the others when one is away, and moves none', async () => {
    const { proxies, servers, namespace } = await network();
    const backend = make(servers, namespace);
    await fill(backend);
    await proxies[0].takeDown();
    const [readable, lost] = await split(backend);
    for (const key of lost) await expect(backend.set(key, Buffer.from('new'), MINUTE_MS)).rejects.toThrow();

    expect(readable.length).toBeGreaterThan(20);
    expect(lost.length).toBeGreaterThan(5);
    expect(await textsIn(backend, readable)).toEqual(readable);
    await expect(backend.getMany([...readable, ...lost])).rejects.toThrow(BackendUnavailableError);
    await proxies[0].bringUp();
    await untilUp(backend, lost);
    expect(await textsIn(backend, KEYS)).toEqual(KEYS);
  });

  test('removes what it can when one is away, and says that it could not remove the rest', async () => {
    const { proxies, servers, namespace } = await network();
    const backend = make(servers, namespace);
    await fill(backend);
    await proxies[1].takeDown();
    const [readable, lost] = await split(backend);

    await expect(backend.delete(KEYS)).rejects.toThrow(`127.0.0.1:${proxies[1].port}`);
    expect(await textsIn(backend, readable)).toEqual(readable.map(() => undefined));
    await proxies[1].bringUp();
    await untilUp(backend, lost);
    expect(await textsIn(backend, lost)).toEqual(lost);
  });

  test('clears all of them, or what it can, and says so', async () => {
    const { proxies, servers, namespace } = await network();
    const backend = make(servers, namespace);
    await fill(backend);
    await backend.clear();
    expect(await textsIn(backend, KEYS)).toEqual(KEYS.map(() => undefined));

    await fill(backend);
    await proxies[2].takeDown();
    const [readable] = await split(backend);
    await expect(backend.clear()).rejects.toThrow(`127.0.0.1:${proxies[2].port}`);
    expect(await textsIn(backend, readable)).toEqual(readable.map(() => undefined));
  });

  test('never answers through the cache what was deleted while its server was away', async () => {
    const { proxies, servers, namespace } = await network();
    const backend = make(servers, namespace);
    const cache = new CacheService(patient(backend));
    await cache.setMany(KEYS.map((key) => [key, 'old']));
    await proxies[0].takeDown();
    await Promise.allSettled(KEYS.map((key) => cache.delete(key)));
    const loaded = await Promise.all(KEYS.map((key) => cache.getOrSet(key, () => 'new')));
    await proxies[0].bringUp();

    expect(new Set(loaded)).toEqual(new Set(['new']));
    for (const key of KEYS) expect(await cache.get(key)).not.toBe('old');
    await until('all is cached again', async () => {
      const found = await Promise.all(KEYS.map((key) => cache.getOrSet(key, () => 'new')));
      return found.every((value) => value === 'new') && (await cache.get(KEYS[0] ?? '')) === 'new';
    });
  });

  test('loses only the keys of one that was restarted', async () => {
    const { servers, namespace } = await network();
    const backend = make(servers, namespace);
    await fill(backend);
    await processes[0]?.restart();
    await untilUp(backend, KEYS);
    const kept = (await textsIn(backend, KEYS)).filter((text) => text !== undefined);
    await fill(backend);

    expect(kept.length).toBeGreaterThan(20);
    expect(kept.length).toBeLessThan(55);
    expect(await textsIn(backend, KEYS)).toEqual(KEYS);
  });

  test('finds nothing that was written under another list, on the servers of both', async () => {
    const { proxies, servers, namespace } = await network();
    const three = make(servers, namespace);
    await fill(three);
    const two = make(servers.slice(1), namespace);
    expect(await textsIn(two, KEYS)).toEqual(KEYS.map(() => undefined));
    await fill(two);
    await two.delete(KEYS);
    const found = await textsIn(three, KEYS);
    await proxies[0].takeDown();
    const [, ofTheFirst] = await split(three);

    // The first was not in the list: what lay there lies there still. So it has to be emptied before it comes back.
    expect(found.filter((text) => text !== undefined)).toEqual(ofTheFirst);
  });

  test('opens when all are there, names one that is not, and works with the others', async () => {
    const { proxies, servers, namespace } = await network();
    await proxies[1].takeDown();
    const backend = make(servers, namespace);

    await expect(backend.open()).rejects.toThrow(`127.0.0.1:${proxies[1].port} (connect ECONNREFUSED`);
    const [readable] = await split(backend);
    expect(readable.length).toBeGreaterThan(20);
    await proxies[1].bringUp();
    await until('all are there', () =>
      backend.open().then(
        () => true,
        () => false,
      ),
    );
  });

  /** A network before each server that can be broken, and a namespace. */
  async function network() {
    const proxyTo = async (index: number): Promise<FaultProxy> => {
      const proxy = await FaultProxy.to(processes[index]?.port ?? 0);
      onTestFinished(() => proxy.takeDown());
      return proxy;
    };
    const proxies = [await proxyTo(0), await proxyTo(1), await proxyTo(2)] as const;
    return {
      proxies,
      servers: proxies.map(({ port }) => `127.0.0.1:${port}`),
      namespace: `t-${randomUUID()}`,
    };
  }

  function make(servers: readonly string[], namespace: string): MemcachedBackend {
    const backend = new MemcachedBackend({ servers, namespace });
    onTestFinished(() => backend.close());
    return backend;
  }
});

async function fill(backend: MemcachedBackend): Promise<void> {
  await Promise.all(KEYS.map((key) => backend.set(key, Buffer.from(key), MINUTE_MS)));
}

async function textsIn(backend: MemcachedBackend, keys: readonly string[]): Promise<(string | undefined)[]> {
  const found = await backend.getMany(keys);
  return found.map((stored) => stored && Buffer.from(stored.bytes).toString());
}

/** The keys whose server is there, and the others. */
async function split(backend: MemcachedBackend): Promise<[string[], string[]]> {
  const results = await Promise.allSettled(KEYS.map((key) => backend.get(key)));
  const isThere = (_: string, index: number): boolean => results[index]?.status === 'fulfilled';
  return [KEYS.filter(isThere), KEYS.filter((key, index) => !isThere(key, index))];
}

async function readableWithout(proxy: FaultProxy, backend: MemcachedBackend): Promise<string[]> {
  await proxy.takeDown();
  const [readable] = await split(backend);
  await proxy.bringUp();
  await untilUp(backend, KEYS);
  return readable;
}

function untilUp(backend: MemcachedBackend, keys: readonly string[]): Promise<void> {
  return until('all servers are up again', () =>
    backend.getMany(keys).then(
      () => true,
      () => false,
    ),
  );
}
