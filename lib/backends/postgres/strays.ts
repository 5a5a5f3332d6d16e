import { setTimeout as delay } from 'node:timers/promises';
import { stateOf } from './postgres.failure.js';
import type { Lanes } from './lanes.js';

/** A statement that was sent and has no answer yet. */
export interface Unanswered {
  /** Of the server process that it was sent to; null where that is not known. */
  readonly pid: number | null;
  readonly text: string;
  /** By `performance.now()`. */
  readonly sentAtMs: number;
}

/** How often is looked whether they have ended: for two seconds. One that stands still ends when it goes on. */
const MOST_LOOKS = 40;
const LOOK_EVERY_MS = 50;

/**
 * Ends the server processes that may still execute a statement of a connection that was lost, so that no write of
 * before takes effect after one of later, and waits until they are gone. One that was slow, or stood still, finds the
 * statement in its socket and executes it, whether or not anybody waits for the answer.
 *
 * @param lanes new ones, which nobody else uses yet
 */
export async function endStrays(lanes: Lanes, unanswered: readonly Unanswered[]): Promise<void> {
  const strays = unanswered.filter(({ pid }) => pid !== null);
  for (let look = 0; strays.length > 0 && look < MOST_LOOKS; look++) {
    if (look > 0) await delay(LOOK_EVERY_MS);
    if (!(await areThere(lanes, strays))) return;
  }
}

async function areThere(lanes: Lanes, strays: readonly Unanswered[]): Promise<boolean> {
  const nowMs = performance.now();
  const values = [
    strays.map(({ pid }) => pid),
    strays.map(({ text }) => text),
    strays.map(({ sentAtMs }) => nowMs - sentAtMs),
  ];
  try {
    const { rowCount } = await lanes.run({ text: END, values });
    return rowCount !== 0;
  } catch (error) {
    // A server that is not quite Postgres, or lets nobody do so: it has to do without.
    if (error instanceof Error && stateOf(error.cause) !== undefined) return false;
    throw error;
  }
}

/**
 * Behind a pooler, or after a failover, the number may be another's. So only what runs this very statement is ended, or
 * is ours by its name and has done nothing at all since the statement was sent.
 */
const END = `
  SELECT pg_terminate_backend(a.pid)
  FROM unnest($1::int[], $2::text[], $3::float8[]) AS stray (pid, query, age_ms)
  JOIN pg_stat_activity a ON a.pid = stray.pid
  WHERE a.pid <> pg_backend_pid() AND a.usename = current_user AND a.datname = current_database()
    AND a.application_name = current_setting('application_name')
    AND (
      a.state_change < now() - age_ms * interval '1 millisecond'
      OR a.state = 'active' AND left(a.query, 200) = left(stray.query, 200)
    )`;
