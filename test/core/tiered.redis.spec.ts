import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { CacheService, InMemoryBackend, type MessageBus, TieredBackend } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { watchResources } from '../backends/watch-resources.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { patient } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis, withClient } from '../servers/redis.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';

/** One process of an app: a cache on two tiers, the far one on a Redis. */
interface Process {
  readonly cache: CacheService;
  readonly backend: TieredBackend;
}

/** A Redis whose messages come by a network of their own, so that they alone can be lost. */
class RedisWithBusBehind extends RedisBackend {
  constructor(
    url: string,
    namespace: string,
    private readonly behind: RedisBackend,
  ) {
    super({ url, namespace });
  }

  override bus(): MessageBus {
    return this.behind.bus();
  }
}

describeOn('redis process', 'Two processes on two tiers, the far one a Redis,', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  const changes: Readonly<Record<string, (cache: CacheService) => Promise<unknown>>> = {
    delete: (cache) => cache.delete('key'),
    set: (cache) => cache.set('key', 'new'),
    invalidateTags: (cache) => cache.invalidateTags('tag'),
    clear: (cache) => cache.clear(),
    touch: (cache) => cache.touch('key', 0),
  };

  for (const [name, change] of Object.entries(changes)) {
    test(`hear of a change from each other: ${name}`, async () => {
      const [here, there] = await twoProcesses();
      const lags: number[] = [];
      for (let round = 0; round < 20; round++) {
        await here.cache.set('key', 'old', { tags: ['tag'] });
        await until('there is a copy', async () => {
          await there.cache.get('key');
          return isNear(there) && (await there.cache.get('key')) === 'old';
        });
        await change(here.cache);
        const changedAt = performance.now();
        await expect.poll(() => there.cache.get('key'), { interval: 0 }).not.toBe('old');
        lags.push(performance.now() - changedAt);
      }
      console.info(`${name}: the other process was behind for at most ${Math.max(...lags).toFixed(1)} ms.`);
    });
  }

  test('answer what was there before for at most nearTtl while one of them hears nothing', async () => {
    // Only the clock of the copies stands still: timers and sockets go on as ever.
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const namespace = anyNamespace();
    const proxy = await makeProxy();
    const here = makeProcess(new RedisBackend({ url: server.url, namespace }));
    const there = makeDeafable(proxy, namespace);
    await Promise.all([here.backend.open(), there.backend.open()]);
    await here.cache.set('key', 'old');
    await until('there is a copy', async () => (await there.cache.get('key')) === 'old' && isNear(there));
    await proxy.takeDown();
    await until('the copy is dropped', async () => !isNear(there));
    await until('there is another', async () => (await there.cache.get('key')) === 'old' && isNear(there));
    await here.cache.delete('key');

    vi.advanceTimersByTime(999);
    expect(await there.cache.get('key')).toBe('old');
    vi.advanceTimersByTime(1);
    expect(await there.cache.get('key')).toBeUndefined();
  });

  test('drop what they have near when the network of one loses everything in silence, and when it is back', async () => {
    const namespace = anyNamespace();
    const proxy = await makeProxy();
    const here = makeProcess(new RedisBackend({ url: server.url, namespace }), '1h');
    const there = makeDeafable(proxy, namespace, '1h');
    await Promise.all([here.backend.open(), there.backend.open()]);
    await here.cache.set('key', 'old');
    proxy.blackhole();
    await until('there is a copy', async () => (await there.cache.get('key')) === 'old' && isNear(there));
    await here.cache.set('key', 'unheard');
    await until('the silence is noticed', async () => (await there.cache.get('key')) === 'unheard');
    await here.cache.set('key', 'unheard too');
    proxy.pass();
    proxy.cut('rst');

    await until('the bus is back', async () => (await there.cache.get('key')) === 'unheard too');
    await until('there is a copy', async () => (await there.cache.get('key')) !== undefined && isNear(there));
    await here.cache.set('key', 'heard');
    await until('it is heard', async () => (await there.cache.get('key')) === 'heard');
  });

  test('hear of each other again when Redis was gone and is back', async () => {
    const [here, there] = await twoProcesses();
    await server.kill();
    expect(await here.cache.getOrSet('other', () => 'loaded')).toBe('loaded');
    await expect(here.cache.delete('key')).rejects.toThrow('RedisBackend');
    await server.restart();
    await until('both can write', async () => {
      const written = [here, there].map(({ cache }) =>
        cache.set('key', 'old').then(
          () => true,
          () => false,
        ),
      );
      return !(await Promise.all(written)).includes(false);
    });
    await until('both listen', async () => (await listeners(here)) === 2);
    await until('there is a copy', async () => (await there.cache.get('key')) === 'old' && isNear(there));
    await here.cache.delete('key');

    await until('it is heard', async () => (await there.cache.get('key')) === undefined);
  });

  test('count right together', async () => {
    const both = await twoProcesses();
    await Promise.all(
      both.map(async ({ cache }) => {
        for (let count = 0; count < 50; count++) {
          await cache.increment('count');
          await cache.get('count');
        }
      }),
    );

    expect(await both[0].cache.increment('count')).toBe(101);
  });

  test('leave nothing behind when they are closed', async () => {
    const watch = watchResources();
    const [here, there] = await twoProcesses();
    await here.cache.set('key', 'value');
    await there.cache.get('key');
    await Promise.all([here.backend.close(), there.backend.close()]);

    await until('nothing is left', async () => (await watch.left()).length === 0);
    await there.backend.open();
    expect(await there.cache.get('key')).toBe('value');
  });

  const namespaces = new WeakMap<Process, string>();

  async function twoProcesses(): Promise<[Process, Process]> {
    const namespace = anyNamespace();
    const make = () => makeProcess(new RedisBackend({ url: server.url, namespace }), '1h');
    const pair: [Process, Process] = [make(), make()];
    for (const one of pair) {
      namespaces.set(one, namespace);
      await one.backend.open();
    }
    return pair;
  }

  /** How many processes listen to the same messages. */
  async function listeners(process: Process): Promise<number> {
    const counts = await withClient(server.url, (client) =>
      client.pubsub('NUMSUB', `${namespaces.get(process)}:bus`),
    );
    return Number(counts[1]);
  }

  function makeDeafable(proxy: FaultProxy, namespace: string, nearTtl?: '1h'): Process {
    const behind = new RedisBackend({ url: `redis://127.0.0.1:${proxy.port}`, namespace });
    onTestFinished(() => behind.close());
    return makeProcess(new RedisWithBusBehind(server.url, namespace, behind), nearTtl);
  }

  async function makeProxy(): Promise<FaultProxy> {
    const proxy = await FaultProxy.to(server.port);
    onTestFinished(() => proxy.takeDown());
    return proxy;
  }
});

function makeProcess(far: RedisBackend, nearTtl: '1s' | '1h' = '1s'): Process {
  const backend = new TieredBackend({ near: new InMemoryBackend(), far: patient(far), nearTtl });
  onTestFinished(() => backend.close());
  return { backend, cache: new CacheService(backend) };
}

function isNear({ backend }: Process): boolean {
  return !(backend.get('v:key') instanceof Promise);
}

function anyNamespace(): string {
  return `t-${randomUUID()}`;
}
