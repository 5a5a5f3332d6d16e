import { BackendUnavailableError } from '../../core/errors.js';
import { warnOnce } from '../../core/warn-once.js';
import type { Lanes } from './lanes.js';
import type { PgResult } from './pg.js';
import type { TableOptions } from './postgres.options.js';
import { COLUMNS, qualifiedName, type Statements } from './postgres.table.js';

type Row = PgResult['rows'][0];

const PATIENCE_MS = 5_000;
/** A boolean of Postgres, as text. */
const YES = 't';
const UNLOGGED = 'u';

/**
 * Sees to it that the table is there, and is what the statements take it for. A table that is there is left as it is.
 *
 * @throws BackendUnavailableError saying what to do
 */
export async function keepTable(
  lanes: Lanes,
  statements: Statements,
  options: TableOptions,
  place: string,
): Promise<void> {
  const values = [options.schema, options.table];
  const look = async (): Promise<Row | undefined> =>
    (await lanes.run({ text: statements.look, values, patienceMs: PATIENCE_MS })).rows[0];
  let found = await look();
  if (found?.['is_standby'] === YES) throw refused(place, 'it is a standby. Connect to the primary.');
  if (found?.['encoding'] !== 'UTF8') {
    throw refused(place, `the database has the encoding ${found?.['encoding']}. It takes one with UTF8.`);
  }
  if (found['persistence'] === null && options.createTable) {
    await lanes.run({ text: statements.create, values: [], patienceMs: PATIENCE_MS });
    found = await look();
  }
  checkTable(found, options, place);
}

function checkTable(found: Row | undefined, options: TableOptions, place: string): void {
  const name = qualifiedName(options);
  if (!found || found['persistence'] === null) {
    throw refused(
      place,
      `the table ${name} is not there. Create it in a migration (docs/backends/postgres.md), or leave out createTable: false.`,
    );
  }
  if (found['columns'] !== COLUMNS || found['is_unique'] !== YES) {
    throw refused(
      place,
      `the table ${name} is another's: it has no columns ${COLUMNS} with a primary key (namespace, key). ` +
        'Give another name with the option `table`.',
    );
  }
  if (options.durable && found['persistence'] === UNLOGGED) {
    warnOnce(
      `PostgresBackend ${place} ${name}`,
      `PostgresBackend: ${name} was created without durable: true, and is empty after a crash of the server. ` +
        `To change it: ALTER TABLE ${name} SET LOGGED`,
    );
  }
}

function refused(place: string, why: string): BackendUnavailableError {
  return new BackendUnavailableError(`PostgresBackend: ${place} can't be used: ${why}`);
}
