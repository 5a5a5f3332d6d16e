import { Cluster, Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { BackendUnavailableError, type MessageBus } from 'nestjs-cachekit';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';
import { proxyTo } from '../connection/proxy-to.js';
import { stopTime, whileThisProcessRuns } from '../connection/stop-time.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedisCluster, type RedisCluster } from '../servers/redis-cluster.server.js';
import { startRedisSentinel } from '../servers/redis-sentinel.server.js';
import { startRedis, withClient } from '../servers/redis.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';
import { watchResources } from './watch-resources.js';

/** A bus, and what it has told its listener. */
interface Heard {
  readonly bus: MessageBus;
  readonly backend: RedisBackend;
  /** Messages, and `up` and `down`. */
  readonly log: string[];
}

describe('The bus of RedisBackend', () => {
  describeOn('redis', 'on a Redis', () => {
    test('brings a message to all who listen in its namespace, the sender too, and to nobody else', async () => {
      stopTime();
      const namespace = anyNamespace();
      const [one, two] = [await listen({ namespace }), await listen({ namespace })];
      const stranger = await listen({ namespace: `${namespace}.eu` });
      await one.bus.send('from one');
      await two.bus.send('from two');
      await stranger.bus.send('from a stranger');

      for (const { log } of [one, two]) {
        await expect.poll(() => log.toSorted()).toEqual(['from one', 'from two', 'up']);
      }
      await expect.poll(() => stranger.log).toEqual(['up', 'from a stranger']);
    });

    test('brings messages whole and in the order of sending', async () => {
      stopTime();
      const { bus, log } = await listen();
      const texts = Array.from({ length: 100 }, (_, index) => `${index} ж\u0000"`.padEnd(3_900, 'x'));
      await Promise.all(texts.map((text) => bus.send(text)));

      await expect.poll(() => log.slice(1)).toEqual(texts);
    });

    test('sends without listening', async () => {
      stopTime();
      const namespace = anyNamespace();
      const { log } = await listen({ namespace });
      await makeBackend({ url: inject('redisUrl'), namespace })
        .bus()
        .send('text');

      await expect.poll(() => log).toEqual(['up', 'text']);
    });

    test('works through a client of the app with a keyPrefix, leaves it open, and takes its connection back', async () => {
      const client = new Redis(inject('redisUrl'), { keyPrefix: 'app:' });
      onTestFinished(() => client.disconnect());
      const [namespace, watch] = [anyNamespace(), watchResources()];
      const { backend, bus, log } = await listen({ client, namespace });
      const own = await withClient(inject('redisUrl'), (other) =>
        other.publish(`app:${namespace}:bus`, 'by hand'),
      );
      await bus.send('text');

      expect(own).toBe(1);
      await expect.poll(() => log).toEqual(['up', 'by hand', 'text']);
      await bus.close();
      await backend.close();
      expect(await client.ping()).toBe('PONG');
      expect(await watch.left()).toEqual([]);
    });

    test('tells its listener nothing after close', async () => {
      const namespace = anyNamespace();
      const { bus, log, backend } = await listen({ namespace });
      await bus.close();
      await bus.close();
      await backend.bus().send('late');
      await backend.get('key');

      expect(log).toEqual(['up']);
    });
  });

  describeOn('redis process', 'on a Redis behind a bad network', () => {
    let server: ServerProcess;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server.stop());

    test('says that it is down when it is cut off, and up once messages come again', async () => {
      stopTime();
      const proxy = await proxyTo(server.port);
      const { bus, log } = await listen({ url: urlOf(proxy) });
      proxy.cut('rst');
      await expect.poll(() => log).toEqual(['up', 'down', 'up']);
      await untilSent(bus, 'text');

      await expect.poll(() => log).toContain('text');
    });

    test('says that it is down when the server falls silent, though nothing is sent', async () => {
      const proxy = await proxyTo(server.port);
      const { bus, log } = await listen({ url: urlOf(proxy) });
      proxy.blackhole();
      const silentSince = performance.now();
      await expect.poll(() => log, { interval: 5 }).toEqual(['up', 'down']);
      console.info(`The bus noticed after ${Math.round(performance.now() - silentSince)} ms of silence.`);
      proxy.pass();
      proxy.cut('rst');

      await expect.poll(() => log).toEqual(['up', 'down', 'up']);
      await untilSent(bus, 'text');
      await expect.poll(() => log).toContain('text');
    });

    test('stays up while the server is slow, but answers', async () => {
      stopTime();
      const proxy = await proxyTo(server.port);
      const { bus, log } = await listen({ url: urlOf(proxy) });
      proxy.delay({ upMs: 200, downMs: 200 });
      const sending = async () => {
        for (let count = 0; count < 5; count++) await bus.send('text');
      };
      await whileThisProcessRuns(sending());

      await expect.poll(() => log).toEqual(['up', ...Array.from({ length: 5 }, () => 'text')]);
    });

    test('goes down and comes up with a server that is killed and started again', async () => {
      const { bus, log } = await listen({ url: server.url });
      await server.kill();
      await expect.poll(() => log).toEqual(['up', 'down']);
      await expect(bus.send('lost')).rejects.toBeInstanceOf(BackendUnavailableError);
      await server.restart();
      await until('it is up again', async () => log.length === 3);
      await untilSent(bus, 'text');

      await expect.poll(() => log).toEqual(['up', 'down', 'up', 'text']);
    });

    test('rejects to listen while nobody is there, and comes up once somebody is', async () => {
      const proxy = await proxyTo(server.port);
      await proxy.takeDown();
      const { log, listening } = startListening({ url: urlOf(proxy) });
      const failure: Error = await listening.then(String, (error) => error);
      await proxy.bringUp();

      expect(failure).toBeInstanceOf(BackendUnavailableError);
      expect(failure.message).toContain('ECONNREFUSED');
      await until('it is up', async () => log.includes('up'));
      expect(log).toEqual(['up']);
    });

    test('leaves nothing behind when it is closed: up, away, cut off, silent, or being made', async () => {
      const [proxy, dead] = [await proxyTo(server.port), await proxyTo(server.port)];
      await dead.takeDown();
      const watch = watchResources();
      const all = [
        startListening({ url: server.url }),
        startListening({ url: urlOf(dead) }),
        startListening({ url: urlOf(proxy) }),
      ];
      await Promise.allSettled(all.map(({ listening }) => listening));
      proxy.blackhole();
      const opening = startListening({ url: server.url });
      const overtaken = opening.listening.then(String, (error: unknown) => error);
      await Promise.all([...all, opening].flatMap(({ bus, backend }) => [bus.close(), backend.close()]));

      expect(await overtaken).toBeInstanceOf(BackendUnavailableError);
      await until('nothing is left', async () => (await watch.left()).length === 0);
    });

    test('needs no more than the documented commands, on the channel of its namespace', async () => {
      stopTime();
      const [namespace, name] = [anyNamespace(), `user-${randomUUID()}`];
      const commands = '+info +publish +subscribe'.split(' ');
      const rules = ['on', '>secret', `~${namespace}:*`, `&${namespace}:bus`, ...commands];
      await withClient(server.url, (client) => client.acl('SETUSER', name, 'reset', ...rules));
      const { bus, log } = await listen({ url: withUser(server.url, name), namespace });
      await until('the server was asked whether it is there, and refused to say', async () => {
        const refused = await withClient(server.url, (client) => client.acl('LOG'));
        return JSON.stringify(refused).includes('"ping"');
      });
      await bus.send('text');

      await expect.poll(() => log).toEqual(['up', 'text']);
    });

    test('says what the user may not do', async () => {
      const name = `user-${randomUUID()}`;
      const rules = ['on', '>secret', '~*', 'resetchannels', '+info', '+publish', '+subscribe'];
      await withClient(server.url, (client) => client.acl('SETUSER', name, 'reset', ...rules));
      const { bus, listening } = startListening({ url: withUser(server.url, name) });

      const results = await Promise.allSettled([listening, bus.send('text')]);
      for (const result of results) {
        const failure: Error = result.status === 'rejected' ? result.reason : expect.fail('it worked');
        expect(failure).toBeInstanceOf(BackendUnavailableError);
        expect(failure.message).toMatch(/refused a command: NOPERM .*channel/);
        expect(failure.message).not.toContain('secret');
      }
    });
  });

  describeOn('redis cluster', 'on a Cluster', () => {
    let cluster: RedisCluster;
    beforeAll(async () => {
      cluster = await startRedisCluster();
    });
    afterAll(() => cluster.stop());

    test('brings messages whatever nodes they are sent to and heard on', async () => {
      stopTime();
      const namespace = anyNamespace();
      // More listeners than nodes, so that some listen on different ones.
      const all = await Promise.all(
        Array.from({ length: 6 }, () => listen({ nodes: nodesOf(cluster), namespace })),
      );
      const texts = all.map((_, index) => `text ${index}`);
      await Promise.all(all.map(({ bus }, index) => bus.send(`text ${index}`)));

      for (const { log } of all) await expect.poll(() => log.toSorted()).toEqual([...texts, 'up']);
    });

    test('works through a cluster client of the app, and leaves it open', async () => {
      stopTime();
      const client = new Cluster(nodesOf(cluster));
      onTestFinished(() => client.disconnect());
      const { bus, log } = await listen({ client });
      await bus.send('text');
      await expect.poll(() => log).toEqual(['up', 'text']);
      await bus.close();

      expect(await client.get('anything')).toBeNull();
    });

    // The last one: the Cluster is not the same after it.
    test('goes to another node when the one it listens on is killed', async () => {
      const namespace = anyNamespace();
      const all = await Promise.all(
        Array.from({ length: 6 }, () => listen({ nodes: nodesOf(cluster), namespace })),
      );
      const killed = await Promise.all(
        cluster.nodes.map(async (node) => ({ node, listeners: await countListeners(node.url, namespace) })),
      );
      const busiest = killed.toSorted((some, others) => others.listeners - some.listeners)[0];
      await busiest?.node.kill();

      expect(busiest?.listeners).toBeGreaterThan(0);
      await until('all who were cut off are up again', async () => {
        const cutOff = all.filter(({ log }) => log.includes('down'));
        return cutOff.length >= Number(busiest?.listeners) && cutOff.every(({ log }) => log.at(-1) === 'up');
      });
      const [first] = all;
      await untilSent(first?.bus, 'text');
      for (const { log } of all) await expect.poll(() => log.at(-1)).toBe('text');
    });
  });

  describeOn('redis sentinel', 'with Sentinel', () => {
    test('is back on the new master after a failover', async () => {
      const { sentinels, name, master, stop } = await startSentinel();
      onTestFinished(stop);
      const { bus, log } = await listen({ options: { sentinels, name } });
      await master.kill();
      await until('it is up again', async () => log.at(-1) === 'up' && log.includes('down'));
      await untilSent(bus, 'text');

      await expect.poll(() => log.at(-1)).toBe('text');
    });
  });
});

async function startSentinel() {
  const sentinel = await startRedisSentinel();
  return { ...sentinel, stop: () => sentinel.stop() };
}

function anyNamespace(): string {
  return `t-${randomUUID()}`;
}

function makeBackend(options: RedisBackendOptions): RedisBackend {
  const backend = new RedisBackend({ namespace: anyNamespace(), ...options });
  onTestFinished(() => backend.close());
  return backend;
}

async function listen(options: RedisBackendOptions = { url: inject('redisUrl') }): Promise<Heard> {
  const { listening, ...heard } = startListening(options);
  await listening;
  return heard;
}

function startListening(options: RedisBackendOptions): Heard & { readonly listening: Promise<void> } {
  const target = 'client' in options || 'nodes' in options || 'options' in options || 'url' in options;
  const backend = makeBackend(target ? options : { url: inject('redisUrl'), ...options });
  const [bus, log]: [MessageBus, string[]] = [backend.bus(), []];
  onTestFinished(() => bus.close());
  const listening = bus.listen({
    onMessage: (text) => log.push(text),
    onUp: () => log.push('up'),
    onDown: () => log.push('down'),
  });
  return { backend, bus, log, listening };
}

async function untilSent(bus: MessageBus | undefined, text: string): Promise<void> {
  await until('it can send', () =>
    (bus ?? expect.fail('no bus')).send(text).then(
      () => true,
      () => false,
    ),
  );
}

function urlOf(proxy: FaultProxy): string {
  return `redis://127.0.0.1:${proxy.port}`;
}

function withUser(url: string, name: string): string {
  return url.replace('redis://', `redis://${name}:secret@`);
}

function nodesOf(cluster: RedisCluster): { host: string; port: number }[] {
  return cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
}

async function countListeners(url: string, namespace: string): Promise<number> {
  const counts = await withClient(url, (client) => client.pubsub('NUMSUB', `${namespace}:bus`));
  return Number(counts[1]);
}
