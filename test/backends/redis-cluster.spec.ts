import { Cluster } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';
import { describeOn } from '../servers/describe-on.js';
import { startRedisCluster, type RedisCluster } from '../servers/redis-cluster.server.js';
import { until } from '../servers/until.js';
import { watchResources } from './watch-resources.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');
/** So many that each of three masters has some. */
const KEYS = Array.from({ length: 100 }, (_, index) => `key ${index}`);

describeOn('redis cluster', 'RedisBackend on a Cluster', () => {
  let cluster: RedisCluster;
  let nodes: { host: string; port: number }[];
  /** Another app, on the same Cluster. */
  let other: Cluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    other = new Cluster(nodes);
  });
  afterAll(async () => {
    other.disconnect();
    await cluster.stop();
  });

  test('reads and removes many entries, whatever their slots, in the order asked for', async () => {
    const backend = make({ nodes: nodes.slice(0, 1) });
    await Promise.all(KEYS.map((key) => backend.set(key, Buffer.from(key), MINUTE_MS)));
    const asked = [...KEYS, 'absent', ...KEYS.toReversed()];
    const found = await backend.getMany(asked);

    const texts = found.map((entry) => entry && Buffer.from(entry.bytes).toString());
    expect(texts).toEqual(asked.map((key) => (key === 'absent' ? undefined : key)));
    await backend.delete(asked);
    expect(await backend.getMany(asked)).toEqual(asked.map(() => undefined));
  });

  test('is connected to every master once it is open', async () => {
    // Without a retry, a command is refused that comes while its node is still connecting.
    const backend = make({ nodes, options: { retryDelayOnFailover: 0 } });
    await backend.open();

    expect(await backend.getMany(KEYS)).toEqual(KEYS.map(() => undefined));
  });

  test('lets one of fifty concurrent writers replace what they all saw, on every master', async () => {
    const backend = make({ nodes });
    for (const key of KEYS.slice(0, 10)) {
      for (const seen of [undefined, (await backend.set(`${key} seen`, BYTES, MINUTE_MS)).version]) {
        const name = seen === undefined ? key : `${key} seen`;
        const writers = Array.from({ length: 50 }, () => backend.replace(name, seen, BYTES, MINUTE_MS));
        const winners = (await Promise.all(writers)).filter((written) => written !== undefined);

        expect(winners).toHaveLength(1);
        expect((await backend.get(name))?.version).toBe(winners[0]?.version);
      }
    }
  });

  test('takes a list for absent, and can write over it', async () => {
    const { backend, namespace } = makeNamed();
    await other.rpush(`${namespace}:list`, 'a');

    expect(await backend.getMany(['list', 'other'])).toEqual([undefined, undefined]);
    expect(await backend.replace('list', undefined, BYTES, MINUTE_MS)).toBeDefined();
  });

  test('clears its namespace on every master, and nothing else', async () => {
    const { backend, namespace } = makeNamed();
    const foreign = KEYS.map((key) => `${namespace}.eu:${key}`);
    await Promise.all(foreign.map((name) => other.set(name, 'kept', 'PX', MINUTE_MS)));
    await Promise.all(KEYS.map((key) => backend.set(key, BYTES, MINUTE_MS)));
    await backend.clear();

    expect(await backend.getMany(KEYS)).toEqual(KEYS.map(() => undefined));
    expect(await Promise.all(foreign.map((name) => other.get(name)))).toEqual(foreign.map(() => 'kept'));
  });

  test('works through a cluster client of the app, with a keyPrefix of its own, and leaves it open', async () => {
    const client = new Cluster(nodes, { redisOptions: { keyPrefix: 'app*:' } });
    onTestFinished(() => client.disconnect());
    const namespace = `t-${randomUUID()}`;
    const backend = make({ client, namespace });
    await Promise.all(KEYS.map((key) => backend.set(key, BYTES, MINUTE_MS)));
    const { version } = await backend.set('a', BYTES, MINUTE_MS);

    expect(await other.exists(`app*:${namespace}:a`)).toBe(1);
    expect(await backend.replace('a', version, BYTES, MINUTE_MS)).toBeDefined();
    await backend.clear();
    expect(await backend.getMany(KEYS)).toEqual(KEYS.map(() => undefined));
    await backend.close();
    expect(await client.get('anything')).toBeNull();
  });

  test('leaves nothing behind when it is closed', async () => {
    const watch = watchResources();
    const backend = make({ nodes });
    await backend.set('key', BYTES, MINUTE_MS);
    const opening = make({ nodes });
    const overtaken = opening.open().catch((error: unknown) => error);
    await Promise.all([backend.close(), opening.close()]);

    expect(await overtaken).toBeInstanceOf(BackendUnavailableError);
    await until('nothing is left', async () => (await watch.left()).length === 0);
  });

  test('names the nodes, and no password, when none of them is there', async () => {
    const backend = make({ nodes: ['redis://:secret@127.0.0.1:1', { host: '127.0.0.1', port: 2 }] });
    const failure = await backend.open().catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(BackendUnavailableError);
    expect(String(failure)).toContain('the cluster of 127.0.0.1:1, 127.0.0.1:2 (Connection is closed.)');
    expect(String(failure)).not.toContain('secret');
  });

  // The last one: the Cluster is not the same after it.
  test('fails what a killed master holds, never clears halfway, and comes back with the master', async () => {
    const { backend, namespace } = makeNamed();
    await Promise.all(KEYS.map((key) => backend.set(key, BYTES, MINUTE_MS)));
    await cluster.nodes[0]?.kill();
    const results = await Promise.allSettled(KEYS.map((key) => backend.get(key)));
    const cleared = backend.clear();

    await expect(cleared).rejects.toBeInstanceOf(BackendUnavailableError);
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(reasons.length).toBeGreaterThan(0);
    for (const reason of reasons) expect(reason).toBeInstanceOf(BackendUnavailableError);
    await cluster.nodes[0]?.restart();
    const rewrite = () => Promise.all(KEYS.map((key) => backend.set(key, BYTES, MINUTE_MS)));
    await until(`all masters of ${namespace} take writes again`, () =>
      rewrite().then(
        () => true,
        () => false,
      ),
    );
  });

  function makeNamed() {
    const namespace = `t-${randomUUID()}`;
    return { backend: make({ nodes, namespace }), namespace };
  }

  function make(options: RedisBackendOptions): RedisBackend {
    const backend = new RedisBackend({ namespace: `t-${randomUUID()}`, ...options });
    onTestFinished(() => backend.close());
    return backend;
  }
});
