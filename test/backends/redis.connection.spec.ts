import { Redis, type RedisOptions } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';
import { watchResources } from './watch-resources.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('redis process', 'the connection of RedisBackend', () => {
  let server: ServerProcess;
  /** Another app, on the same Redis. */
  let other: Redis;
  beforeAll(async () => {
    server = await startRedis();
    other = new Redis(server.url, { retryStrategy: () => 20 });
    other.on('error', () => undefined);
  });
  afterAll(async () => {
    other.disconnect();
    await server.stop();
  });

  test('is made by the first operation', async () => {
    const backend = make({ url: server.url });

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('is made once, whatever opens it at the same time', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await Promise.all([backend.open(), backend.get('key'), backend.open(), backend.get('key')]);
    await backend.open();

    expect(proxy.openConnections).toBe(1);
  });

  test('fails with address and reason when nobody listens, and is made once somebody does', async () => {
    const proxy = await makeProxy(server.port);
    await proxy.takeDown();
    const backend = make(urlOf(proxy));
    const failure = await failureOf(backend.open());

    expect(failure.message).toContain(`127.0.0.1:${proxy.port} (connect ECONNREFUSED`);
    expect(failure.cause).toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.bringUp();
    await untilUp(backend);
  });

  test('lets the operations wait that come while it is made for the first time, and fails them with it', async () => {
    const proxy = await makeProxy(server.port);
    await proxy.takeDown();
    const backend = make(urlOf(proxy));
    const results = await Promise.allSettled([backend.get('a'), backend.getMany(['a']), backend.clear()]);

    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(BackendUnavailableError) });
    }
  });

  test('rejects operations at once while it is away, and keeps none of them for later', async () => {
    const proxy = await makeProxy(server.port);
    const namespace = `t-${randomUUID()}`;
    const backend = make({ ...urlOf(proxy), namespace });
    await backend.open();
    await proxy.takeDown();
    // An operation that waited for its turn would still be pending after this many.
    for (let count = 0; count < 20; count++) await failureOf(backend.set('lost', BYTES, MINUTE_MS));
    await proxy.bringUp();
    await untilUp(backend);

    expect(await backend.get('lost')).toBeUndefined();
    expect(await other.exists(`${namespace}:lost`)).toBe(0);
  });

  test('rejects operations at once while it is made anew', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make({ ...urlOf(proxy), options: { disconnectTimeout: 50 } });
    await backend.open();
    proxy.blackhole();
    proxy.cut('rst');
    await failureOf(backend.get('key'));
    const reopened = backend.open().then(String, () => 'open');
    const rejected = backend.get('key').then(String, () => 'get');

    expect(await Promise.race([reopened, rejected])).toBe('get');
    await backend.close();
  });

  test('rejects the operations under way when it is cut', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await backend.open();
    proxy.stall();
    const pending = [backend.get('key'), backend.set('key', BYTES, MINUTE_MS), backend.clear()].map(
      failureOf,
    );
    proxy.cut('rst');

    for (const failure of await Promise.all(pending)) expect(failure.message).toContain('ECONNRESET');
    proxy.pass();
    await untilUp(backend);
  });

  test('is replaced when Redis stays silent on it', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await backend.open();
    const seconds = useFakeSeconds();
    proxy.blackhole();
    const pending = failureOf(backend.get('key'));
    await seconds.pass(3);
    proxy.pass();

    expect((await pending).message).toContain('no answer for 1500 ms');
    await untilUp(backend, seconds);
  });

  test('is not replaced while Redis is slow, or has nothing to say', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await backend.open();
    const seconds = useFakeSeconds();
    const connections = await countConnections();
    await backend.get('key');
    await seconds.pass(20);
    proxy.stall();
    const slow = backend.get('key');
    await seconds.pass(1);
    proxy.pass();
    await slow;
    await seconds.pass(20);

    expect(await backend.get('key')).toBeUndefined();
    expect(await countConnections()).toBe(connections);
  });

  test('is replaced when a command takes longer than the commandTimeout it was given', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make({ ...urlOf(proxy), options: { commandTimeout: 100, disconnectTimeout: 50 } });
    await backend.open();
    proxy.blackhole();
    const failure = await failureOf(backend.get('key'));
    proxy.pass();

    expect(failure.message).toContain('timed out');
    await untilUp(backend);
  });

  test('fails to open when somebody listens who never says a word, and is made once Redis does', async () => {
    const proxy = await makeProxy(server.port);
    proxy.blackhole();
    const backend = make(urlOf(proxy));
    const seconds = useFakeSeconds();
    const failure = failureOf(backend.open());
    await until('there is a connection', () => Promise.resolve(proxy.openConnections > 0));
    await seconds.pass(6);
    proxy.pass();

    expect((await failure).message).toContain('it took the connection, and was not ready within 2000 ms');
    await untilUp(backend, seconds);
  });

  test('is looked for anew when a failover made its server a replica', async () => {
    const backend = make({ url: server.url });
    await backend.open();
    await other.replicaof('127.0.0.1', '1');
    const connectionsBefore = await countConnections();
    const failure = await failureOf(backend.set('key', BYTES, MINUTE_MS));
    await other.replicaof('NO', 'ONE');

    expect(failure.message).toContain('READONLY');
    await untilUp(backend);
    expect(await countConnections()).toBeGreaterThan(connectionsBefore);
  });

  test('tells a wrong password from an absent server, without any password', async () => {
    const backend = make({ url: `redis://somebody:p%40ssw0rd@127.0.0.1:${server.port}` });
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
    const failures = [await failureOf(backend.open()), await failureOf(backend.get('key'))];

    for (const failure of failures) {
      expect(failure.message).toContain(`127.0.0.1:${server.port} (WRONGPASS`);
      expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(/somebody|p@ssw0rd|p%40ssw0rd/);
    }
    expect(inspect(backend, { depth: 9, showHidden: true })).not.toContain('ssw0rd');
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  test('leaves nothing behind when it is closed: while it is up, away, or being made', async () => {
    const watch = watchResources();
    const up = make({ url: server.url });
    await up.open();
    const away = make({ url: 'redis://127.0.0.1:1' });
    await failureOf(away.open());
    const opening = make({ url: server.url });
    const opened = failureOf(opening.open());
    await Promise.all([up.close(), away.close(), opening.close()]);

    expect((await opened).message).toContain('closed');
    expect(await watch.left()).toEqual([]);
  });

  test('lets the operations finish that came before close', async () => {
    const namespace = `t-${randomUUID()}`;
    const backend = make({ url: server.url, namespace });
    await backend.set('large', Buffer.alloc(32 * 1024 * 1024), MINUTE_MS);
    const [found, written] = [backend.get('large'), backend.set('key', BYTES, MINUTE_MS)];
    await backend.close();

    expect((await found)?.bytes).toHaveLength(32 * 1024 * 1024);
    expect((await written).version).toBeDefined();
    expect(await other.unlink(`${namespace}:large`, `${namespace}:key`)).toBe(2);
  });

  test('stays closed until it is opened again', async () => {
    const namespace = `t-${randomUUID()}`;
    const backend = make({ url: server.url, namespace });
    await backend.set('key', BYTES, MINUTE_MS);
    await backend.close();
    await backend.close();
    const failure = await failureOf(backend.get('key'));
    await backend.open();

    expect(failure.message).toContain('open()');
    expect(await backend.get('key')).toBeDefined();
  });

  test('obeys the last of open and close that was called', async () => {
    const backend = make({ url: server.url });
    const overtaken = [failureOf(backend.open())];
    void backend.close();
    overtaken.push(failureOf(backend.open()));
    void backend.close();
    await backend.open();

    for (const failure of await Promise.all(overtaken)) expect(failure.message).toContain('closed');
    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
    void backend.close();
    overtaken.push(failureOf(backend.open()));
    await backend.close();
    expect((await failureOf(backend.get('key'))).message).toContain('closed');
  });

  test('over a client of the app connects it if need be, never closes it, and takes its listeners back', async () => {
    const client = makeClient(server.url, { lazyConnect: true });
    const listeners = countListeners(client);
    const backend = make({ client });
    await backend.open();
    await backend.set('key', BYTES, MINUTE_MS);
    await backend.close();

    expect(countListeners(client)).toEqual(listeners);
    expect(await client.ping()).toBe('PONG');
    await backend.open();
    expect(await backend.get('key')).toBeDefined();
    expect((await failureOf(backend.close().then(() => backend.get('key')))).message).toContain('closed');
  });

  test('over a client of the app rejects what the client would queue', async () => {
    const proxy = await makeProxy(server.port);
    const client = makeClient(urlOf(proxy).url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    const namespace = `t-${randomUUID()}`;
    const backend = make({ client, namespace });
    await backend.open();
    await proxy.takeDown();
    await untilDown(client);
    const failure = await failureOf(backend.set('lost', BYTES, MINUTE_MS));
    await proxy.bringUp();
    await untilUp(backend);

    expect(failure.message).toContain(`the given client of 127.0.0.1:${proxy.port}`);
    expect(await other.exists(`${namespace}:lost`)).toBe(0);
  });

  test('over a client of the app fails to open while the client finds nobody, and works once it does', async () => {
    const proxy = await makeProxy(server.port);
    await proxy.takeDown();
    const client = makeClient(urlOf(proxy).url, { retryStrategy: () => 20, lazyConnect: true });
    const backend = make({ client });
    const failure = await failureOf(backend.open());
    await proxy.bringUp();

    expect(failure.message).toContain('ECONNREFUSED');
    await untilUp(backend);
  });

  test('over a client that the app has closed is never made', async () => {
    const client = makeClient(server.url, {});
    await client.quit();
    const backend = make({ client });

    expect((await failureOf(backend.open())).message).toContain('status "end"');
    expect((await failureOf(backend.get('key'))).message).toContain('status "end"');
  });

  test('needs no more than the documented commands, on the keys of its namespace', async () => {
    const namespace = `t-${randomUUID()}`;
    const name = `user-${randomUUID()}`;
    const commands = '+get +mget +set +unlink +eval +type +getrange +scan +info';
    await other.acl('SETUSER', name, 'on', '>secret', `~${namespace}:*`, ...commands.split(' '));
    const backend = make({ url: `redis://${name}:secret@127.0.0.1:${server.port}`, namespace });
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    await backend.replace('key', version, BYTES, MINUTE_MS);
    await backend.replace('second', undefined, BYTES, MINUTE_MS);

    expect(await backend.replace('key', undefined, BYTES, MINUTE_MS)).toBeUndefined();
    expect(await backend.getMany(['key', 'second'])).not.toContain(undefined);
    await backend.delete(['second']);
    await backend.clear();
    expect(await backend.get('key')).toBeUndefined();
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  test('says which command a user lacks', async () => {
    const name = `user-${randomUUID()}`;
    await other.acl('SETUSER', name, 'on', '>secret', '~*', '+get', '+info');
    const backend = make({ url: `redis://${name}:secret@127.0.0.1:${server.port}` });
    const failure = await failureOf(backend.set('key', Buffer.from('a value of somebody'), MINUTE_MS));

    expect(failure.message).toMatch(/127\.0\.0\.1:\d+ refused a command: NOPERM .*'set'/);
    expect(inspect(failure, { depth: 9 })).not.toContain(
      String(Buffer.from('a value of somebody').toJSON().data),
    );
  });

  function make(options: RedisBackendOptions): RedisBackend {
    const backend = new RedisBackend({ namespace: `t-${randomUUID()}`, ...options });
    onTestFinished(() => backend.close());
    return backend;
  }

  function makeClient(url: string, options: RedisOptions): Redis {
    const client = new Redis(url, options);
    client.on('error', () => undefined);
    onTestFinished(() => client.disconnect());
    return client;
  }

  async function makeProxy(port: number): Promise<FaultProxy> {
    const proxy = await FaultProxy.to(port);
    onTestFinished(() => proxy.takeDown());
    return proxy;
  }

  async function countConnections(): Promise<number> {
    const stats = await other.info('stats');
    return Number(/total_connections_received:(\d+)/.exec(stats)?.[1]);
  }
});

function urlOf(proxy: FaultProxy): { url: string } {
  return { url: `redis://127.0.0.1:${proxy.port}` };
}

async function failureOf(operation: Promise<unknown>): Promise<BackendUnavailableError> {
  const failure = await operation.then(
    () => 'it worked',
    (error: unknown) => error,
  );
  if (failure instanceof BackendUnavailableError) return failure;
  throw new Error(`Not a BackendUnavailableError: ${inspect(failure)}`);
}

interface Seconds {
  /** Lets so many seconds pass for timers, in an instant. */
  pass(seconds: number): Promise<void>;
}

function useFakeSeconds(): Seconds {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  return {
    async pass(seconds) {
      for (let second = 0; second < seconds; second++) {
        await vi.advanceTimersByTimeAsync(1_000);
        // Sockets are real, and get their turn in between.
        await setImmediate();
      }
    },
  };
}

function untilUp(backend: RedisBackend, seconds?: Seconds): Promise<void> {
  return until('the backend is up again', async () => {
    await seconds?.pass(1);
    return backend.get('key').then(
      () => true,
      () => false,
    );
  });
}

function untilDown(client: Redis): Promise<void> {
  return until('the client has lost its connection', () => Promise.resolve(client.status !== 'ready'));
}

function countListeners(client: Redis): Record<string, number> {
  return Object.fromEntries(client.eventNames().map((name) => [String(name), client.listenerCount(name)]));
}
