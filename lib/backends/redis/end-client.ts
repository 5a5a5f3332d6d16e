import type { EventEmitter } from 'node:events';
import { settledWithin } from '../settled-within.js';
import type { RedisClient } from './redis.options.js';

/** How long the goodbye waits for commands that still run. */
const QUIT_MS = 1_000;
/** How long it waits for the sockets then. */
const END_MS = 1_000;

/** Ends a client in order if it is ready, by force if that takes too long. Never rejects. */
export async function endClient(client: RedisClient): Promise<void> {
  if (client.status === 'end') return;
  const events: EventEmitter = client;
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    events.once('end', () => {
      hasEnded = true;
      resolve();
    });
  });
  if (client.status === 'ready') {
    const goodbye = client.quit().then(() => ended);
    await settledWithin(QUIT_MS, goodbye);
  }
  if (hasEnded) return;
  client.disconnect();
  await settledWithin(END_MS, ended);
}
