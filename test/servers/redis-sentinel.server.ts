import { join } from 'node:path';
import { inject } from 'vitest';
import { addRedisFact, launchRedis, withClient, type RedisProgram } from './redis.server.js';
import { ServerProcess } from './server-process.js';
import { until } from './until.js';

/** The name under which the sentinel knows the master. */
const MASTER_NAME = 'cachekit';

/** A master, its replica, and one sentinel that makes the replica the master when the master is gone. */
export interface RedisSentinel {
  /** Where the sentinels are, for a client's option of that name. */
  readonly sentinels: { readonly host: string; readonly port: number }[];
  /** The name of the master to ask them for, for a client's option of that name. */
  readonly name: string;
  /** The master, until it is killed or frozen. */
  readonly master: ServerProcess;
  /** The replica, which becomes the master then. */
  readonly replica: ServerProcess;
  /** The one that watches both. */
  readonly sentinel: ServerProcess;
  /** Stops all three. A second time does nothing. */
  stop(): Promise<void>;
}

/**
 * Starts a master, a replica and a sentinel of one's own, and resolves when a failover would succeed. Use it inside
 * `describeOn('redis sentinel', ...)`, and `stop` it in an `afterAll`. A killed master is replaced after about
 * three seconds.
 */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const program = inject('redisProgram');
  const started = performance.now();
  const processes: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((server) => server.stop()));
  };
  try {
    const master = await launchRedis(program, () => ({ 'repl-diskless-sync-delay': '0' }));
    processes.push(master);
    const replica = await launchRedis(program, () => ({ replicaof: `127.0.0.1 ${master.port}` }));
    processes.push(replica);
    await untilInStep(replica);
    const sentinel = await launchSentinel(program, master);
    processes.push(sentinel);
    await untilReplicaKnown(sentinel);
    addRedisFact('redis sentinel', started);
    return {
      sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
      name: MASTER_NAME,
      master,
      replica,
      sentinel,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function launchSentinel(program: RedisProgram, master: ServerProcess): Promise<ServerProcess> {
  const file = 'sentinel.conf';
  return ServerProcess.start({
    name: 'redis-sentinel',
    program,
    // A sentinel refuses to start without a file that it can write what it learns to.
    files: { [file]: sentinelConfig(master.port) },
    args: ({ port, folder }) => [
      join(folder, file),
      '--sentinel',
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
    ],
    ready: /\+monitor master/,
    url: (port) => `redis://127.0.0.1:${port}`,
  });
}

/** Three seconds of silence, not less: a machine that stands still for two would make a healthy master a replica. */
function sentinelConfig(masterPort: number): string {
  return [
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} 1`,
    `sentinel down-after-milliseconds ${MASTER_NAME} 3000`,
    `sentinel failover-timeout ${MASTER_NAME} 5000`,
    '',
  ].join('\n');
}

function untilInStep(replica: ServerProcess): Promise<void> {
  return withClient(replica.url, (client) =>
    until('the replica has the data of the master', async () => {
      const info = await client.info('replication');
      return info.includes('master_link_status:up');
    }),
  );
}

/** It learns of the replica from the master, and has to reach it: else it finds nobody to promote. */
function untilReplicaKnown(sentinel: ServerProcess): Promise<void> {
  return withClient(sentinel.url, (client) =>
    until('the sentinel knows the replica', async () => {
      const replicas = await client.call('SENTINEL', 'REPLICAS', MASTER_NAME);
      return JSON.stringify(replicas).includes('"master-link-status","ok"');
    }),
  );
}
