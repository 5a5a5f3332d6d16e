import type { Engine } from './engine.js';

const SECONDS = /^ttlMonitorSleepSecs=(\d+)$/;

/**
 * Lets the engine remove expired documents as often as mongod would with the same parameter. Without it the engine
 * does so by a job of its own, once a minute, as mongod does.
 */
export function expireDocuments(engine: Engine, parameters: readonly string[]): void {
  const seconds = parameters
    .map((parameter) => Number(SECONDS.exec(parameter)?.[1]))
    .find((value) => value > 0);
  if (seconds === undefined) return;
  const expire = (): void => {
    engine
      .row('CALL documentdb_api_internal.delete_expired_rows()')
      .catch((error: unknown) => process.stderr.write(`Expiring: ${String(error)}\n`))
      .finally(() => setTimeout(expire, seconds * 1_000));
  };
  expire();
}
