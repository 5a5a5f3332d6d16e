import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { CachekitConfigError } from '../../core/errors.js';
import { hasMethods, refuseUndefined } from '../given-client.js';
import { checkNamespace, DEFAULT_NAMESPACE } from '../namespace.js';
import { parseServerUrl, PERCENT_ENCODING } from '../server-url.js';

/**
 * ioredis options that RedisBackend decides by itself: each of them would bring a queue without end, reads
 * from a replica, or a second reconnection beside the backend's own.
 */
const FIXED_OPTIONS = [
  'enableOfflineQueue',
  'failoverDetector',
  'lazyConnect',
  'monitor',
  'readOnly',
  'reconnectOnError',
  'retryStrategy',
  'role',
  'sentinelRetryStrategy',
] as const;
const FIXED_CLUSTER_OPTIONS = [
  'clusterNodeRetryStrategy',
  'clusterRetryStrategy',
  'enableOfflineQueue',
  'lazyConnect',
  'scaleReads',
] as const;

type ServerConnectionOptions = Omit<RedisOptions, (typeof FIXED_OPTIONS)[number]>;
type ClusterConnectionOptions = Omit<
  ClusterOptions,
  (typeof FIXED_CLUSTER_OPTIONS)[number] | 'redisOptions'
> & {
  redisOptions?: Omit<NonNullable<ClusterOptions['redisOptions']>, (typeof FIXED_OPTIONS)[number]>;
};

interface NamespaceOption {
  /**
   * What this backend's keys begin with, a `:` following: 1 to 64 of `A-Z a-z 0-9 _ . -`. `clear` removes all
   * of it.
   *
   * @default 'cachekit'
   */
  namespace?: string;
}

interface ServerTarget extends NamespaceOption {
  /**
   * The server, `redis://user:password@host:port/db`, or `rediss://` for TLS.
   *
   * @default 'redis://localhost:6379'
   */
  url?: string | undefined;
  /**
   * More options of ioredis, beside or instead of the url: `tls`, `password`, `host`, `path` of a unix
   * socket, `sentinels` and `name`, timeouts in milliseconds. What the url says wins.
   */
  options?: ServerConnectionOptions;
  nodes?: never;
  client?: never;
}

interface ClusterTarget extends NamespaceOption {
  /** Some nodes of a Redis Cluster, `{ host, port }` each. The others are found through them. */
  nodes: readonly ClusterNode[];
  /** More options of ioredis' Cluster; those of its connections (`tls`, `password`) go into `redisOptions`. */
  options?: ClusterConnectionOptions;
  url?: never;
  client?: never;
}

interface ClientTarget extends NamespaceOption {
  /** An ioredis client that the app has already. The backend never closes it. */
  client: Redis | Cluster;
  url?: never;
  options?: never;
  nodes?: never;
}

/** How RedisBackend finds Redis: by url and options, by the nodes of a Cluster, or through a given client. */
export type RedisBackendOptions = ServerTarget | ClusterTarget | ClientTarget;

/** A client of ioredis, of one server (or Sentinel group) or of a Cluster. */
export type RedisClient = Redis | Cluster;

/** Checked options. `place` names the server in messages, without user and password. */
export type RedisTarget = { readonly namespace: string; readonly place: string } & (
  | { readonly kind: 'server'; readonly url: string | undefined; readonly options: ServerConnectionOptions }
  | { readonly kind: 'cluster'; readonly nodes: ClusterNode[]; readonly options: ClusterConnectionOptions }
  | { readonly kind: 'client'; readonly client: RedisClient }
);

/** Tells the two kinds of client apart. */
export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

/**
 * Checks what `new RedisBackend()` was given.
 *
 * @throws CachekitConfigError
 */
export function readRedisOptions(options: RedisBackendOptions): RedisTarget {
  checkNames(options);
  const namespace = checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'RedisBackend');
  if (options.client !== undefined) return { namespace, ...readClient(options) };
  if (options.nodes !== undefined) return { namespace, ...readCluster(options) };
  return { namespace, ...readServer(options) };
}

const NAMES = ['namespace', 'url', 'options', 'nodes', 'client'];

function checkNames(options: RedisBackendOptions): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrong('takes an object, for instance { url: "redis://localhost:6379" }.');
  }
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw wrong(
      `unknown option "${unknown}". It takes ${NAMES.join(', ')}; what ioredis calls "${unknown}", if it is ` +
        'one of its options, goes into `options`.',
    );
  }
  refuseUndefined(options, ['client', 'nodes'], 'RedisBackend');
  const targets = (['url', 'nodes', 'client'] as const).filter((name) => options[name] !== undefined);
  if (targets.length > 1) throw wrong(`give one of ${targets.join(' and ')}, not both.`);
  if (options.client !== undefined && options.options !== undefined) {
    throw wrong(
      '`options` have no effect on a given client. Give them to the client, or leave `client` out.',
    );
  }
}

function readServer({ url, options = {} }: ServerTarget) {
  checkFixed('options', options, FIXED_OPTIONS);
  if (options.sentinels && (options.sentinels.length === 0 || !options.name)) {
    throw wrong('`options.sentinels` takes at least one address, and `options.name` the name of its master.');
  }
  const address = url === undefined ? undefined : checkUrl(url);
  return { kind: 'server' as const, url, options, place: placeOfServer(options, address) };
}

function readCluster({ nodes, options = {} }: ClusterTarget) {
  if (!Array.isArray(nodes) || nodes.length === 0) {
    throw wrong(
      '`nodes` takes a list of at least one node, for instance [{ host: "10.0.0.1", port: 6379 }].',
    );
  }
  checkFixed('options', options, FIXED_CLUSTER_OPTIONS);
  checkFixed('options.redisOptions', options.redisOptions ?? {}, FIXED_OPTIONS);
  const places = nodes.map(checkNode).join(', ');
  return { kind: 'cluster' as const, nodes: [...nodes], options, place: `the cluster of ${places}` };
}

function readClient({ client }: ClientTarget) {
  if (!hasMethods(client, ['getBuffer', 'mgetBuffer', 'scanBuffer', 'unlink', 'eval', 'connect', 'on'])) {
    throw wrong(
      '`client` is not a client of the package "ioredis" (new Redis() or new Cluster()). ' +
        'Clients of other packages are not supported: give `url` or `nodes` instead.',
    );
  }
  if (readsFromReplica(client)) {
    throw wrong(
      'the given client reads from replicas, where what was just written or deleted is not known yet. ' +
        'Give one without scaleReads, readOnly and role: "slave".',
    );
  }
  return { kind: 'client' as const, client, place: placeOfClient(client) };
}

function readsFromReplica(client: RedisClient): boolean {
  if (isCluster(client)) return client.options.scaleReads !== 'master';
  return client.options.role === 'slave' || client.options.readOnly === true;
}

function checkFixed(place: string, options: object, fixed: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw wrong(`\`${place}\` takes an object of ioredis options.`);
  }
  const found = fixed.find((name) => Reflect.get(options, name) !== undefined);
  if (found === undefined) return;
  throw wrong(
    `\`${place}.${found}\` is decided by RedisBackend, so that nothing waits without end and every read sees ` +
      'the latest write. Leave it out, or give a `client` of your own.',
  );
}

/** Query parameters of a url become options of ioredis; these are harmless. */
const URL_PARAMETERS = ['db', 'family'];

function checkUrl(url: string): URL {
  const parsed = parseServerUrl(url);
  // No message repeats the url: it may hold a password.
  if (!parsed) {
    throw wrong(
      `the url can't be read. It looks like "redis://user:password@host:6379/0"; ${PERCENT_ENCODING}.`,
    );
  }
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') {
    throw wrong(
      `the url begins with "${parsed.protocol}". It takes redis:// or rediss:// (TLS); for a unix socket use ` +
        '{ options: { path } }, for Sentinel { options: { sentinels, name } }.',
    );
  }
  if (!/^\/?\d*$/.test(parsed.pathname)) {
    throw wrong('the path of the url is the number of a database, for instance redis://localhost:6379/2.');
  }
  const parameter = [...parsed.searchParams.keys()].find((name) => !URL_PARAMETERS.includes(name));
  if (parameter !== undefined) {
    throw wrong(`the url has the parameter "${parameter}". Put what it means into \`options\`.`);
  }
  return parsed;
}

function placeOfServer(options: ServerConnectionOptions, url: URL | undefined): string {
  if (options.sentinels) {
    const sentinels = options.sentinels.map((each) => addressOf(each.host, each.port, 26379)).join(', ');
    return `the master "${options.name}" of the sentinels ${sentinels}`;
  }
  if (options.path) return options.path;
  return addressOf(url?.hostname || options.host, url?.port || options.port);
}

/** Checks a node and answers its place. */
function checkNode(node: ClusterNode): string {
  if (typeof node === 'number') return addressOf(undefined, node);
  if (typeof node === 'object' && node !== null) return addressOf(node.host, node.port);
  if (typeof node !== 'string') throw wrong('a node is { host, port }, a port, or a url.');
  const url = checkUrl(node.includes('://') ? node : `redis://${node}`);
  return addressOf(url.hostname, url.port);
}

function placeOfClient(client: RedisClient): string {
  if (isCluster(client)) return 'the given cluster client';
  if (client.options.sentinels) return `the given client of the master "${client.options.name}"`;
  return `the given client of ${client.options.path ?? addressOf(client.options.host, client.options.port)}`;
}

function addressOf(host: string | undefined, port: string | number | undefined, standardPort = 6379): string {
  return `${host || 'localhost'}:${port || standardPort}`;
}

function wrong(message: string): CachekitConfigError {
  return new CachekitConfigError(`RedisBackend: ${message}`);
}
