import { Redis } from 'ioredis';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { startRedis, withClient } from './redis.server.js';
import type { ServerProcess } from './server-process.js';
import { stopWhileFrozen } from './stop-while-frozen.js';

describeOn('redis', 'the Redis that all specs share', () => {
  test('answers', async () => {
    expect(await withClient(inject('redisUrl'), (client) => client.ping())).toBe('PONG');
  });
});

describeOn('redis process', "a Redis of one's own", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startRedis({ maxmemory: '8mb' });
  });
  afterAll(() => server.stop());

  test('has the settings it is given', async () => {
    const answer = await withClient(server.url, (client) => client.config('GET', 'maxmemory'));
    expect(answer).toEqual(['maxmemory', String(8 * 1024 * 1024)]);
  });

  test('refuses connections once it is killed, and answers on the same port after a restart', async () => {
    const { url } = server;
    await server.kill();
    await expect(withClient(url, (client) => client.ping())).rejects.toThrow();
    await server.restart();
    expect(server.url).toBe(url);
    expect(await withClient(url, (client) => client.ping())).toBe('PONG');
  });

  test('leaves clients without an answer while it is frozen, and answers when it is thawed', async () => {
    const client = new Redis(server.url);
    onTestFinished(() => client.disconnect());
    await client.ping();
    await server.freeze();
    const answer = client.ping();
    const another = new Redis(server.url, { commandTimeout: 50, lazyConnect: true });
    onTestFinished(() => another.disconnect());
    await expect(another.ping()).rejects.toThrow('timed out');
    await server.thaw();
    expect(await answer).toBe('PONG');
  });

  test('can be killed while it is frozen', async () => {
    await server.freeze();
    await server.restart();
    expect(await withClient(server.url, (client) => client.ping())).toBe('PONG');
  });

  const isVisible = process.platform === 'linux' && inject('redisProgram').image === undefined;
  test.runIf(isVisible)('does not run as root', async () => {
    const info = await withClient(server.url, (client) => client.info('server'));
    const status = await readFile(`/proc/${/process_id:(\d+)/.exec(info)?.[1]}/status`, 'utf8');
    expect(status).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
  });

  test('leaves no process and no data when it is stopped, even while it is frozen', async () => {
    const another = await startRedis();
    await stopWhileFrozen(another);
    await expect(withClient(another.url, (client) => client.ping())).rejects.toThrow();
  });

  test('says what the server printed when it can not start', async () => {
    await expect(startRedis({ 'no-such-setting': 'x' })).rejects.toThrow(/redis ended.*no-such-setting/s);
  });
});
