import type { Cluster, Redis } from 'ioredis';
import { explainFailedImport } from '../client-package.js';
import type { RedisClient, RedisTarget } from './redis.options.js';

/** What is used of the client package. */
interface Ioredis {
  readonly Redis: typeof Redis;
  readonly Cluster: typeof Cluster;
}
type OwnTarget = Exclude<RedisTarget, { kind: 'client' }>;

/** Bounds in milliseconds, which a user's options may change. None of them is a deadline for operations. */
const BOUNDS = {
  connectTimeout: 2_000,
  disconnectTimeout: 500,
  maxLoadingRetryTime: 1_000,
};
const SENTINEL_COMMAND_TIMEOUT_MS = 2_000;
/** For each node, since the silence of one is not noticed while others answer. */
const NODE_COMMAND_TIMEOUT_MS = 5_000;

/** A redirection costs 100 ms where a node is dead, so a command to its slots fails after half a second. */
const MAX_REDIRECTIONS = 5;

/**
 * ioredis' own reconnection is off: it keeps commands of a lost connection without end in some cases
 * (autoResendUnfulfilledCommands: false with maxRetriesPerRequest above 0) and stops for good in others (no
 * sentinel reachable). So a client lives for one connection, and the link makes the next client.
 */
const ONE_LIFE = { lazyConnect: true, retryStrategy: null };

/**
 * The client package.
 *
 * @throws MissingClientError when it is not installed
 */
export async function loadIoredis(): Promise<Ioredis> {
  try {
    return await import('ioredis');
  } catch (error) {
    throw explainFailedImport(error, 'ioredis', 'RedisBackend');
  }
}

/** A client that is not connected yet. */
export function createClient(ioredis: Ioredis, target: OwnTarget): RedisClient {
  return target.kind === 'cluster' ? createCluster(ioredis, target) : createServerClient(ioredis, target);
}

function createServerClient({ Redis }: Ioredis, target: OwnTarget & { kind: 'server' }): Redis {
  const options = {
    ...BOUNDS,
    sentinelCommandTimeout: SENTINEL_COMMAND_TIMEOUT_MS,
    ...target.options,
    ...ONE_LIFE,
    enableOfflineQueue: false,
    sentinelRetryStrategy: () => null,
    reconnectOnError: isDemoted,
  };
  return target.url === undefined ? new Redis(options) : new Redis(target.url, options);
}

function createCluster({ Cluster }: Ioredis, target: OwnTarget & { kind: 'cluster' }): Cluster {
  return new Cluster([...target.nodes], {
    maxRedirections: MAX_REDIRECTIONS,
    ...target.options,
    lazyConnect: true,
    enableOfflineQueue: false,
    scaleReads: 'master',
    clusterRetryStrategy: null,
    redisOptions: { ...BOUNDS, commandTimeout: NODE_COMMAND_TIMEOUT_MS, ...target.options.redisOptions },
  });
}

/** After a failover behind one address, the old master answers READONLY: the new one is a connection away. */
function isDemoted(error: Error): boolean {
  return error.message.includes('READONLY');
}
