import { Cluster } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { withClient } from './redis.server.js';
import { startRedisCluster, type RedisCluster } from './redis-cluster.server.js';

describeOn('redis cluster', 'a Redis Cluster of our own', () => {
  let cluster: RedisCluster;
  let client: Cluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    client = new Cluster(cluster.nodes.map(({ url }) => url));
  });
  afterAll(async () => {
    client.disconnect();
    await cluster.stop();
  });

  test('keeps what is written, on all of its masters', async () => {
    const keys = Array.from({ length: 50 }, () => randomUUID());
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    const sizes = await Promise.all(client.nodes('master').map((node) => node.dbsize()));
    expect(sizes).toHaveLength(3);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
  });

  test('lets a master that was killed come back as the one it was', async () => {
    const [node] = cluster.nodes;
    const ask = (question: 'MYID' | 'INFO') => () =>
      withClient(node?.url ?? '', (own) => own.call('CLUSTER', question).then(String));
    const before = await ask('MYID')();
    await node?.restart();
    expect(await ask('MYID')()).toBe(before);
    await expect.poll(ask('INFO')).toContain('cluster_state:ok');
  });
});
