import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { addRedisFact, launchRedis } from './redis.server.js';
import type { ServerProcess } from './server-process.js';
import { until } from './until.js';

/** How many slots a Redis Cluster spreads its keys over, by its specification. */
const SLOTS = 16_384;
const MASTERS = 3;

/** Three masters, each with a third of the slots and no replica. */
export interface RedisCluster {
  /** Every master, to connect to and to kill, freeze and restart. */
  readonly nodes: readonly ServerProcess[];
  /** Stops all of them. A second time does nothing. */
  stop(): Promise<void>;
}

/**
 * Starts a Redis Cluster of one's own, and resolves when every node serves, after some two seconds. Use it inside
 * `describeOn('redis cluster', ...)`, and `stop` it in an `afterAll`. Needs Redis 7 or Valkey.
 *
 * Once a master is gone, the others go on for 15 seconds (Redis' own cluster-node-timeout) and then refuse all keys.
 */
export async function startRedisCluster(): Promise<RedisCluster> {
  const started = performance.now();
  const nodes = await startNodes();
  const stop = () => stopAll(nodes);
  try {
    await join(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  addRedisFact('redis cluster', started);
  return { nodes, stop };
}

async function startNodes(): Promise<ServerProcess[]> {
  const program = inject('redisProgram');
  const starts = Array.from({ length: MASTERS }, () =>
    launchRedis(program, ({ peerPort }) => ({
      'cluster-enabled': 'yes',
      'cluster-announce-ip': '127.0.0.1',
      // By itself it takes port + 10000, which is not known to be free.
      'cluster-port': String(peerPort),
    })),
  );
  const results = await Promise.allSettled(starts);
  const nodes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (nodes.length === MASTERS) return nodes;

  await stopAll(nodes);
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  throw new AggregateError(
    reasons,
    `${reasons.length} of ${MASTERS} nodes of the Redis Cluster did not start.`,
  );
}

/** What `redis-cli --cluster create` does, without its fixed pauses. */
async function join(nodes: readonly ServerProcess[]): Promise<void> {
  const clients = nodes.map(({ url }) => new Redis(url));
  try {
    await Promise.all(clients.map((client, index) => claimSlots(client, index)));
    for (const [index, client] of clients.entries()) {
      // Everybody meets everybody: to learn of the others by gossip takes longer.
      for (const { place } of nodes.slice(index + 1)) {
        await client.call('CLUSTER', 'MEET', '127.0.0.1', place.port, place.peerPort);
      }
    }
    await Promise.all(clients.map((client) => until('the Redis Cluster is ready', () => serves(client))));
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function claimSlots(client: Redis, index: number): Promise<void> {
  const first = Math.floor((index * SLOTS) / MASTERS);
  const last = Math.floor(((index + 1) * SLOTS) / MASTERS) - 1;
  await client.cluster('ADDSLOTSRANGE', first, last);
  // Nodes that are new to each other with the same epoch would first have to settle which one is to change it.
  await client.cluster('SET-CONFIG-EPOCH', index + 1);
}

async function serves(client: Redis): Promise<boolean> {
  const info = await client.cluster('INFO');
  return info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`);
}

async function stopAll(nodes: readonly ServerProcess[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()));
}
