import { setTimeout as delay } from 'node:timers/promises';

const TIMEOUT_MS = 30_000;
const PAUSE_MS = 10;

/**
 * Resolves once `holds` answers true. For what a server does in its own time and tells nobody; where there is an
 * event to wait for, wait for the event.
 *
 * @param what the expected state in words, for the error after 30 seconds
 */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + TIMEOUT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`Waited ${TIMEOUT_MS} ms in vain until ${what}.`);
    await delay(PAUSE_MS);
  }
}
