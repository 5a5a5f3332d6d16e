import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';
import { describeOn } from '../servers/describe-on.js';
import { startRedisSentinel, type RedisSentinel } from '../servers/redis-sentinel.server.js';
import { withClient } from '../servers/redis.server.js';
import { until } from '../servers/until.js';
import { watchResources } from './watch-resources.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('redis sentinel', 'RedisBackend with Sentinel', () => {
  test('goes to the new master after a failover', async () => {
    const { sentinels, name, master, replica } = await start();
    const backend = make({ options: { sentinels, name } });
    await backend.set('before', BYTES, MINUTE_MS);
    await withClient(master.url, (client) => client.wait(1, 0));
    await master.kill();

    await until('the backend has found the new master', () =>
      backend.set('after', BYTES, MINUTE_MS).then(
        () => true,
        () => false,
      ),
    );
    expect(await backend.getMany(['before', 'after'])).not.toContain(undefined);
    expect(await withClient(replica.url, (client) => client.dbsize())).toBe(2);
  });

  test('fails to open while no sentinel is there, and works once one is', async () => {
    const { sentinels, name, sentinel } = await start();
    await sentinel.kill();
    const backend = make({ options: { sentinels, name } });
    const failure = await backend.open().catch((error: unknown) => error);
    await sentinel.restart();

    expect(failure).toBeInstanceOf(BackendUnavailableError);
    expect(String(failure)).toContain(`the master "${name}" of the sentinels 127.0.0.1:${sentinel.port}`);
    expect(String(failure)).toContain('All sentinels are unreachable');
    await until('the backend works', () =>
      backend.get('key').then(
        () => true,
        () => false,
      ),
    );
  });

  test('leaves nothing behind when it is closed: up, or with no sentinel to be found', async () => {
    const { sentinels, name } = await start();
    const watch = watchResources();
    const up = make({ options: { sentinels, name } });
    await up.open();
    const away = make({ options: { sentinels: [{ host: '127.0.0.1', port: 1 }], name } });
    await away.open().catch((error: unknown) => error);
    await Promise.all([up.close(), away.close()]);

    await until('nothing is left', async () => (await watch.left()).length === 0);
  });

  async function start(): Promise<RedisSentinel> {
    const started = await startRedisSentinel();
    onTestFinished(() => started.stop());
    return started;
  }

  function make(options: RedisBackendOptions): RedisBackend {
    const backend = new RedisBackend({ namespace: `t-${randomUUID()}`, ...options });
    onTestFinished(() => backend.close());
    return backend;
  }
});
