import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { untilUp } from '../connection/until-up.js';
import { useFakeSeconds } from '../connection/fake-seconds.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';
import type { ServerProcess } from '../servers/server-process.js';

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

  test('rejects operations at once while it is made anew', async () => {
    const proxy = await proxyTo(server.port);
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

  test('is replaced when Redis stays silent on it', async () => {
    const proxy = await proxyTo(server.port);
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
    const proxy = await proxyTo(server.port);
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
    const proxy = await proxyTo(server.port);
    const backend = make({ ...urlOf(proxy), options: { commandTimeout: 100, disconnectTimeout: 50 } });
    // A busy server may take longer to greet.
    await untilUp(backend);
    proxy.blackhole();
    const failure = await failureOf(backend.get('key'));
    proxy.pass();

    expect(failure.message).toContain('timed out');
    await untilUp(backend);
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

  async function countConnections(): Promise<number> {
    const stats = await other.info('stats');
    return Number(/total_connections_received:(\d+)/.exec(stats)?.[1]);
  }
});

function urlOf(proxy: FaultProxy): { url: string } {
  return { url: `redis://127.0.0.1:${proxy.port}` };
}
