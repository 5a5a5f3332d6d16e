import type { Server, Utils } from 'memjs';
import type { Socket } from 'node:net';
import { explainFailedImport } from '../client-package.js';
import type { Address } from './memcached.options.js';

/** What is used of the client package: the layer below its `Client`, which has no compare-and-swap. */
export interface Memjs {
  readonly Server: typeof Server;
  readonly Utils: Pick<typeof Utils, 'makeRequestBuffer'>;
}

/** When memjs gives up, it leaves a socket half closed. The connection has limits of its own, long before. */
const NEVER_S = 24 * 60 * 60;
/** A connection without traffic is asked after, so that a firewall does not forget it. */
const KEEP_ALIVE_DELAY_S = 30;

/**
 * The client package.
 *
 * @throws MissingClientError when it is not installed
 */
export async function loadMemjs(): Promise<Memjs> {
  try {
    return await import('memjs');
  } catch (error) {
    throw explainFailedImport(error, 'memjs', 'MemcachedBackend');
  }
}

/** memjs' side of one connection, which is not made yet. */
export function makeServer(memjs: Memjs, { host, port, username, password }: Address): Server {
  const server = new memjs.Server(host, port, username, password, {
    timeout: NEVER_S,
    conntimeout: NEVER_S,
    keepAlive: true,
    keepAliveDelay: KEEP_ALIVE_DELAY_S,
  });
  // Where it is given no user, it takes one from MEMCACHIER_USERNAME or MEMCACHE_USERNAME in the environment.
  return Object.assign(server, { username, password });
}

/** The socket of a connection that is being made: memjs hands it out as to its own login. */
export function socketOf(server: Server): Socket {
  const sockets: Socket[] = [];
  server.sock(true, (socket) => sockets.push(socket));
  const [socket] = sockets;
  if (!socket) throw new Error('memjs makes no connection. Use memjs 1.3.2 or a later version of memjs 1.');
  return socket;
}
