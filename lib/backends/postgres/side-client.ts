import type { PgConfig, PgDriver } from './pg.js';
import type { SideClient } from './postgres.source.js';
import { settledWithin } from '../settled-within.js';
import { Sockets } from './sockets.js';

/** How long connecting may take, in milliseconds, TLS and authentication included. */
export const CONNECT_MS = 2_000;
const GOODBYE_MS = 500;

/** A client beside a pool, with the options of the pool, whoever made it. */
export function makeSideClient({ postgres }: PgDriver, options: PgConfig): SideClient {
  const sockets = new Sockets();
  const client = new postgres.Client({
    ...options,
    // pg hides it from those who list the options of a pool.
    password: options.password,
    connectionTimeoutMillis: CONNECT_MS,
    stream: sockets.maker(options.stream),
  });
  // Whoever waits for an answer is told too; without a listener the process would end.
  client.on('error', () => undefined);
  const hangUp = async (): Promise<void> => {
    await settledWithin(GOODBYE_MS, client.end());
    sockets.destroy();
  };
  return { client, hangUp };
}
