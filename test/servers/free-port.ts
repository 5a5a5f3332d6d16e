import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below what systems give to outgoing connections (Linux: 32768 and up). A client that retries against a stopped
 * server's port within that range is sooner or later given that very port as its own, connects to itself, and the
 * server can't start on it again. Below 20000 and above 29999 lie many well-known services.
 */
const LOWEST = 20_000;
const HIGHEST = 29_999;

/**
 * Each worker of Vitest has ports of its own, and comes to the same one again after all others. For a port also looks
 * free while its server is killed or its proxy is down, and both want it back.
 */
const PORTS_OF_A_WORKER = 500;
const WORKERS = Math.floor((HIGHEST + 1 - LOWEST) / PORTS_OF_A_WORKER);
/** Counted from 1; absent in the process that starts the servers which all share. */
const WORKER = Number(process.env['VITEST_POOL_ID'] ?? 0) % WORKERS;

/** Anywhere, for the sake of another run on this machine. */
let next = randomInt(PORTS_OF_A_WORKER);

/**
 * A TCP port on 127.0.0.1 that nobody listens on now. Another process can take it before you do: whoever starts a
 * server on it tries again with another.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_OF_A_WORKER; tries++) {
    const port = LOWEST + WORKER * PORTS_OF_A_WORKER + next;
    next = (next + 1) % PORTS_OF_A_WORKER;
    if (await isFree(port)) return port;
  }
  throw new Error(
    `None of the ports of this worker is free on 127.0.0.1, ${PORTS_OF_A_WORKER} of ${LOWEST} to ${HIGHEST}.`,
  );
}

/** As many different free ports as asked for. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
