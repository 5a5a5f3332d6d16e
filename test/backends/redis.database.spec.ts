import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { failureOf } from '../connection/failure-of.js';
import { describeOn } from '../servers/describe-on.js';
import { startRedis } from '../servers/redis.server.js';
import type { ServerProcess } from '../servers/server-process.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('redis process', 'the database of RedisBackend', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test('is that of the url, or none', async () => {
    const namespace = randomUUID();
    const other = new Redis(server.url);
    onTestFinished(() => other.disconnect());
    const [third, none] = [make(`${server.url}/3`, namespace), make(`${server.url}/9999`, namespace)];
    await third.set('key', BYTES, MINUTE_MS);
    const failures = [await failureOf(none.open()), await failureOf(none.set('key', BYTES, MINUTE_MS))];

    // ioredis itself would go on in database 0, and say nothing.
    for (const { message } of failures)
      expect(message).toMatch(/no connection to .*DB index is out of range/);
    expect(await other.exists(`${namespace}:key`)).toBe(0);
    await other.select(3);
    expect(await other.exists(`${namespace}:key`)).toBe(1);
  });

  test('is asked for by another connection when Redis falls silent over the question', async () => {
    const proxy = await losingTheSecondSelect(server.port);
    const backend = make(`redis://127.0.0.1:${proxy.port}/2`);
    await backend.open().catch(() => undefined);

    expect(proxy.hasLost()).toBe(true);
    await expect.poll(() => backend.get('key').then(() => 'up', String), { timeout: 20_000 }).toBe('up');
  });
});

function make(url: string, namespace = `t-${randomUUID()}`): RedisBackend {
  const backend = new RedisBackend({ url, namespace });
  onTestFinished(() => backend.close());
  return backend;
}

/** A way to Redis whose first connection loses everything, and closes nothing, from its second SELECT on. */
async function losingTheSecondSelect(port: number): Promise<{ readonly port: number; hasLost(): boolean }> {
  let hasLost = false;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    let [selects, isSilent] = [0, false];
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (bytes) => {
      selects += bytes.toString('latin1').toLowerCase().split('select').length - 1;
      if (!hasLost && selects >= 2) [isSilent, hasLost] = [true, true];
      if (!isSilent) server.write(bytes);
    });
    server.on('data', (bytes) => isSilent || client.write(bytes));
    client.on('close', () => server.destroy());
    server.on('close', () => isSilent || client.destroy());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return { port: (listener.address() as AddressInfo).port, hasLost: () => hasLost };
}
