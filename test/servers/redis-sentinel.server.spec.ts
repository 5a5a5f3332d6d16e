import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { startRedisSentinel } from './redis-sentinel.server.js';

describeOn('redis sentinel', 'a Redis with a sentinel of our own', () => {
  test('makes the replica the master when the master is killed', async () => {
    const redis = await startRedisSentinel();
    onTestFinished(() => redis.stop());
    const client = new Redis({ sentinels: redis.sentinels, name: redis.name });
    client.on('error', () => undefined);
    onTestFinished(() => client.disconnect());
    const key = randomUUID();
    await client.set(key, 'before');
    await client.wait(1, 0);

    await redis.master.kill();
    await client.set('other', 'x');
    expect(await client.get(key)).toBe('before');
  });
});
