import { Client } from 'pg';
import { onTestFinished } from 'vitest';

/** Locks a table as ALTER TABLE does, until it is told to end, or the test ends. */
export async function lockTable(url: string, table = 'cachekit'): Promise<() => Promise<void>> {
  const locker = new Client({ connectionString: url });
  onTestFinished(() => locker.end());
  await locker.connect();
  await locker.query('BEGIN');
  await locker.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  return async () => void (await locker.query('COMMIT'));
}

/** How many statements wait for a lock. */
export async function waitingForLocks(client: Client): Promise<number> {
  const { rows } = await client.query(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'`,
  );
  return rows[0].n;
}
