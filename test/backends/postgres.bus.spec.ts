import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { BackendUnavailableError, type MessageBus } from 'nestjs-cachekit';
import { PostgresBackend, type PostgresBackendOptions } from 'nestjs-cachekit/postgres';
import { DataSource } from 'typeorm';
import { proxyTo } from '../connection/proxy-to.js';
import { stopTime } from '../connection/stop-time.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import type { PostgresProcess } from '../servers/postgres-process.js';
import { startPostgres } from '../servers/postgres.server.js';
import { watchResources } from './watch-resources.js';

describeOn('postgres process', 'the bus of PostgresBackend', () => {
  let server: PostgresProcess;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  test('brings what anybody sends to all who listen, in its order', async () => {
    stopTime();
    const namespace = anyNamespace();
    const [one, two] = [await listen({ namespace }), await listen({ namespace })];
    for (let number = 0; number < 20; number++) await one.bus.send(`${number}`);
    await two.bus.send('last');

    const all = [...Array.from({ length: 20 }, (_, number) => `${number}`), 'last'];
    await expect.poll(() => one.said).toEqual(['up', ...all]);
    await expect.poll(() => two.said).toEqual(['up', ...all]);
  });

  test.each(['', '\0', "it's; DROP", '💥'.repeat(1_000), '\0'.repeat(4_000), 'x'.repeat(4_000)])(
    'brings any text of up to 4,000 bytes',
    async (text) => {
      stopTime();
      const { bus, said } = await listen();
      await bus.send(text);

      await expect.poll(() => said).toEqual(['up', text]);
    },
  );

  test('refuses a longer text', async () => {
    stopTime();
    const { bus } = await listen();

    await expect(bus.send('é'.repeat(2_001))).rejects.toThrow(/4002 bytes.*at most 4000/);
  });

  test('brings nothing of another namespace, or another table', async () => {
    stopTime();
    const namespace = anyNamespace();
    const { bus, said } = await listen({ namespace });
    const foreign = [await listen(), await listen({ namespace, table: 'another' })];
    for (const other of foreign) await other.bus.send('foreign');
    await bus.send('own');

    await expect.poll(() => said).toEqual(['up', 'own']);
  });

  test.each(['rst', 'fin'] as const)(
    'tells of a loss, and is back by itself, after a cut by %s',
    async (how) => {
      stopTime();
      const proxy = await proxyTo(server.port);
      const { bus, said } = await listen(at(proxy));
      proxy.cut(how);

      await expect.poll(() => said).toEqual(['up', 'down', 'up']);
      await expect.poll(() => bus.send('again').catch(String)).toBeUndefined();
      await expect.poll(() => said).toEqual(['up', 'down', 'up', 'again']);
    },
  );

  test('tells of silence', async () => {
    stopTime();
    const proxy = await proxyTo(server.port);
    const { said } = await listen(at(proxy));
    const before = Date.now();
    proxy.blackhole();
    await expect.poll(() => said).toEqual(['up', 'down']);
    console.info(`the bus of PostgresBackend tells of silence after ${Date.now() - before} ms`);
    proxy.pass();

    await expect.poll(() => said).toEqual(['up', 'down', 'up']);
  });

  test('tells of a server that is frozen, and one that is killed', async () => {
    stopTime();
    const { said } = await listen();
    await server.freeze();
    await expect.poll(() => said).toEqual(['up', 'down']);
    await server.thaw();
    await expect.poll(() => said).toEqual(['up', 'down', 'up']);
    await server.restart();

    await expect.poll(() => said).toEqual(['up', 'down', 'up', 'down', 'up']);
  });

  test('is not taken for lost while this process is busy', async () => {
    const { bus, said } = await listen();
    const end = performance.now() + 3_000;
    while (performance.now() < end);
    await bus.send('still there');

    await expect.poll(() => said).toEqual(['up', 'still there']);
  });

  test('can begin to listen while the server is away', async () => {
    const proxy = await proxyTo(server.port);
    await proxy.takeDown();
    const bus = makeBackend(at(proxy)).bus();
    const said: string[] = [];
    onTestFinished(() => bus.close());
    const first = bus.listen(listener(said));

    await expect(first).rejects.toThrow(/ECONNREFUSED/);
    await expect(first).rejects.toThrow(BackendUnavailableError);
    await expect(bus.send('lost')).rejects.toThrow(BackendUnavailableError);
    expect(said).toEqual([]);
    await proxy.bringUp();
    await expect.poll(() => said).toEqual(['up']);
  });

  test('listens beside the pool of a data source of the app, also when that is used up', async () => {
    stopTime();
    const dataSource = await new DataSource({ type: 'postgres', url: server.url, poolSize: 2 }).initialize();
    onTestFinished(() => dataSource.destroy());
    const held = [dataSource.createQueryRunner(), dataSource.createQueryRunner()];
    await Promise.all(held.map((runner) => runner.connect()));
    const { bus, said } = await listen({ dataSource });
    await Promise.all(held.map((runner) => runner.release()));
    await bus.send('through the pool');

    await expect.poll(() => said).toEqual(['up', 'through the pool']);
  });

  test('is told nothing, and leaves nothing behind, after it is closed, whatever the server does', async () => {
    const watch = watchResources();
    const up = await listen();
    const silent = await listen();
    const connecting = makeBackend().bus();
    const began = connecting.listen(listener([]));
    await Promise.all([up.bus.close(), connecting.close(), began]);
    await server.freeze();
    onTestFinished(() => server.thaw());
    await silent.bus.close();
    await Promise.all([up.backend.close(), silent.backend.close()]);

    await expect.poll(() => watch.left()).toEqual([]);
    expect([up.said, silent.said]).toEqual([['up'], ['up']]);
  });

  function anyNamespace(): string {
    return `t-${randomUUID()}`;
  }

  function at(proxy: FaultProxy): { url: string } {
    return { url: server.url.replace(/:\d+\//, `:${proxy.port}/`) };
  }

  function makeBackend(options: Partial<PostgresBackendOptions> = {}): PostgresBackend {
    const place = options.dataSource ? {} : { url: server.url };
    const backend = new PostgresBackend({
      namespace: anyNamespace(),
      ...place,
      ...options,
    } as PostgresBackendOptions);
    onTestFinished(() => backend.close());
    return backend;
  }

  async function listen(options: Partial<PostgresBackendOptions> = {}) {
    const backend = makeBackend(options);
    const bus: MessageBus = backend.bus();
    const said: string[] = [];
    onTestFinished(() => bus.close());
    await bus.listen(listener(said));
    return { backend, bus, said };
  }

  function listener(said: string[]) {
    return {
      onMessage: (text: string) => void said.push(text),
      onUp: () => void said.push('up'),
      onDown: () => void said.push('down'),
    };
  }
});
