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
 * A TCP port on 127.0.0.1 that nobody listens on now. Another process can take it before you do: whoever starts a
 * server on it tries again with another.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port found on 127.0.0.1 between ${LOWEST} and ${HIGHEST}.`);
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
