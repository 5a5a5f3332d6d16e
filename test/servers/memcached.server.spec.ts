import { Server, Utils } from 'memjs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { startMemcachedWithLogin } from './memcached-sasl.server.js';
import { startMemcached } from './memcached.server.js';
import type { ServerProcess } from './server-process.js';
import { stopWhileFrozen } from './stop-while-frozen.js';

const STAT_OPCODE = 0x10;

describeOn('memcached', 'the memcached that all specs share', () => {
  test('answers', async () => {
    expect(await stat(inject('memcachedUrl'), 'version')).toMatch(/^\d/);
  });
});

describeOn('memcached process', "a memcached of one's own", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startMemcached(['-m', '8']);
  });
  afterAll(() => server.stop());

  test('has the options it is given', async () => {
    expect(await stat(server.url, 'limit_maxbytes')).toBe(String(8 * 1024 * 1024));
  });

  test('refuses connections once it is killed, and answers on the same port after a restart', async () => {
    const { url } = server;
    await server.kill();
    await expect(stat(url, 'pid')).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    expect(server.url).toBe(url);
    expect(await stat(url, 'pid')).toMatch(/^\d+$/);
  });

  const isVisible = process.platform === 'linux' && inject('memcachedProgram').image === undefined;
  test.runIf(isVisible)('does not run as root', async () => {
    const status = await readFile(`/proc/${await stat(server.url, 'pid')}/status`, 'utf8');
    expect(status).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
  });

  test('leaves no process and no data when it is stopped, even while it is frozen', async () => {
    const another = await startMemcached();
    await stopWhileFrozen(another);
    await expect(stat(another.url, 'pid')).rejects.toThrow('ECONNREFUSED');
  });

  test('says what the server printed when it can not start', async () => {
    await expect(startMemcached(['-o', 'no-such-option'])).rejects.toThrow(
      /memcached ended.*no-such-option/s,
    );
  });
});

describeOn('memcached sasl', 'a memcached that asks for a user', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startMemcachedWithLogin('somebody', 'secret');
  });
  afterAll(() => server.stop());

  test('lets in who has the password, and nobody else', async () => {
    expect(await stat(server.url, 'pid', ['somebody', 'secret'])).toMatch(/^\d+$/);
    await expect(stat(server.url, 'pid', ['somebody', 'guessed'])).rejects.toThrow('authentication failed');
    await expect(stat(server.url, 'pid')).rejects.toThrow('authentication failed');
  });
});

/** One of the figures of `stats`. */
function stat(url: string, name: string, [user, password]: readonly string[] = []): Promise<string> {
  const { hostname, port } = new URL(url);
  const server = new Server(hostname, Number(port), user, password);
  return new Promise<string>((resolve, reject) => {
    const collect = ({ header, key, val }: Parameters<Parameters<Server['onResponse']>[1]>[0]): void => {
      if (key.toString() === name) resolve(val.toString());
      if (header.totalBodyLength === 0) reject(new Error(`memcached has no figure ${name}`));
    };
    server.onError(1, (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))));
    server.onResponse(1, Object.assign(collect, { quiet: true }));
    server.write(Utils.makeRequestBuffer(STAT_OPCODE, '', '', '', 1));
  }).finally(() => server.close());
}
