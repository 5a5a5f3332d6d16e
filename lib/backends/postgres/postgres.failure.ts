import { BackendTimeoutError, BackendUnavailableError } from '../../core/errors.js';
import { withoutSecrets } from '../failure.js';

/** What Postgres calls a failure: its SQLSTATE. Undefined for what it did not say itself. */
export function stateOf(error: unknown): string | undefined {
  // Node's own errors have a code too, but no severity.
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return String(error.code);
}

/** Whether all connections have to be made anew: nobody is there, it is another server now, or the table is gone. */
export function isLoss(error: unknown): boolean {
  const state = stateOf(error);
  return state === undefined || LOSSES.test(state);
}

/**
 * 08 connection, 25006 read only, 28 authentication, 3D000 no database, 3F000 and 42P01 no schema, no table, 53300 too
 * many connections, 57P shutting down.
 */
const LOSSES = /^(08|25006|28|3D000|3F000|42P01|53300|57P)/;

/** Whether the statement had no effect and may work when sent again: another one was in its way. */
export function isCollision(error: unknown): boolean {
  const state = stateOf(error);
  // Serialization failure (an app may set a higher isolation level for a database or user), and deadlock.
  return state === '40001' || state === '40P01';
}

/** Whether it is only that the statement was prepared: on another connection, by somebody else, or for another table. */
export function isOfPreparing(error: unknown): boolean {
  const state = stateOf(error);
  return state === '26000' || state === '42P05' || state === '0A000';
}

/** What to do about a failure, by its SQLSTATE. */
const ADVICE: Readonly<Record<string, string>> = {
  '25006': 'It is a standby, or set to read only: connect to the primary.',
  '28000': 'Check user, password, TLS and pg_hba.conf.',
  '28P01': 'Check user and password.',
  '3D000': 'Create the database, or correct its name in the url.',
  '42501':
    'Grant the user SELECT, INSERT, UPDATE and DELETE on the table. To create it, the user needs CREATE on the ' +
    'schema; or create it in a migration (docs/backends/postgres.md) and give { createTable: false }.',
  '42P01': 'Create the table in a migration (docs/backends/postgres.md), or leave out createTable: false.',
  '53100': "The server's disk is full.",
  '53300': 'The server has too many connections: raise max_connections, or put a pooler before it.',
};

/**
 * The connection is away now.
 *
 * @param problem the last thing that went wrong; undefined where nothing is known
 */
export function awayError(place: string, problem: unknown): BackendUnavailableError {
  // A deadline alone says neither where nor what to do.
  if (problem instanceof BackendUnavailableError && !(problem instanceof BackendTimeoutError)) return problem;
  const cause = problem === undefined ? undefined : withoutSecrets(problem);
  const advice =
    ADVICE[stateOf(problem) ?? ''] ??
    'Check that Postgres runs there and that address, database, user, password and TLS are right.';
  return new BackendUnavailableError(
    `PostgresBackend: no connection to ${place}${cause ? ` (${cause.message})` : ''}. ${advice}`,
    cause ? { cause } : {},
  );
}

/** A statement has failed. */
export function statementError(place: string, error: unknown): BackendUnavailableError {
  const cause = withoutSecrets(error);
  const state = stateOf(error);
  if (state !== undefined) {
    const advice = ADVICE[state];
    return new BackendUnavailableError(
      `PostgresBackend: ${place} refused a statement: ${cause.message} (${state}).${advice ? ` ${advice}` : ''}`,
      { cause },
    );
  }
  return new BackendUnavailableError(
    `PostgresBackend: a statement to ${place} was not answered: ${cause.message}. A write may still have taken effect.`,
    { cause },
  );
}

/** A statement took too long, and was given up. */
export function lateError(place: string, limitMs: number): BackendTimeoutError {
  return new BackendTimeoutError(
    `PostgresBackend: no answer from ${place} within ${limitMs} ms. If others do get answers, something locks the ` +
      'table: look for it in pg_locks. A write may still have taken effect.',
  );
}
