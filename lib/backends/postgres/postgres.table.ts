import { createHash } from 'node:crypto';
import type { TableOptions } from './postgres.options.js';

/** How many rows `clear` and the sweeper remove in one statement. Each is a transaction, and none is long. */
export const BATCH_ROWS = 5_000;

/** A statement that is sent often: under its name Postgres keeps it parsed, which takes half the time. */
export interface Prepared {
  /** Made of the text, so that it never stands for another text, not even behind a pooler. */
  readonly name: string;
  readonly text: string;
}

/** Every statement on one table. */
export interface Statements {
  /** Values: namespace, key. */
  readonly get: Prepared;
  /** Values: namespace, keys. */
  readonly getMany: Prepared;
  /** Values: namespace, key, version, bytes, ttl in milliseconds or null. */
  readonly set: Prepared;
  /** The same values. One row if it was written. */
  readonly writeIfAbsent: Prepared;
  /** The same values, and the version that was seen. One row if it was written. */
  readonly writeIfSeen: Prepared;
  /** Values: namespace, keys. */
  readonly delete: Prepared;
  /** Values: namespace. Answers the last key of the batch, null after the end. */
  readonly clearFirst: string;
  /** Values: namespace, the last key of the batch before. Answers the same. */
  readonly clearNext: string;
  /** No values. One row for each that was removed. */
  readonly sweep: string;
  /** Values: schema, table. What is there now. */
  readonly look: string;
  /** Makes schema and table, several statements in one. */
  readonly create: string;
}

/** The name of a table in messages and statements. */
export function qualifiedName({ schema, table }: TableOptions): string {
  return `"${schema}"."${table}"`;
}

/** Writes the statements for a table. Its names were checked, so quotes are all they need. */
export function statementsFor(options: TableOptions): Statements {
  const table = qualifiedName(options);
  // In base64: half of what Postgres' own way of writing bytea takes on the wire, and decoded four times as fast.
  const entry = `version::text AS version, encode(bytes, 'base64') AS bytes`;
  const expiry = `now() + $5::float8 * interval '1 millisecond'`;
  const insert = `INSERT INTO ${table} (namespace, key, version, bytes, expires_at) VALUES ($1, $2, $3::uuid, $4, ${expiry})`;
  const clear = (from: string): string => `
    WITH batch AS MATERIALIZED (
      SELECT key FROM ${table} WHERE namespace = $1 ${from} ORDER BY key LIMIT ${BATCH_ROWS}
    ), gone AS (
      DELETE FROM ${table} WHERE namespace = $1 AND key = ANY (ARRAY(SELECT key FROM batch))
    )
    SELECT max(key) AS last FROM batch`;

  return {
    get: prepared(`SELECT key, ${entry} FROM ${table} WHERE namespace = $1 AND key = $2`),
    getMany: prepared(`SELECT key, ${entry} FROM ${table} WHERE namespace = $1 AND key = ANY ($2::text[])`),
    set: prepared(`${insert} ON CONFLICT (namespace, key) DO UPDATE
      SET version = excluded.version, bytes = excluded.bytes, expires_at = excluded.expires_at`),
    writeIfAbsent: prepared(`${insert} ON CONFLICT (namespace, key) DO NOTHING`),
    writeIfSeen: prepared(`UPDATE ${table} SET version = $3::uuid, bytes = $4, expires_at = ${expiry}
      WHERE namespace = $1 AND key = $2 AND version::text = $6`),
    delete: prepared(`DELETE FROM ${table} WHERE namespace = $1 AND key = ANY ($2::text[])`),
    clearFirst: clear(''),
    // By key and not by place in the table, so that a row which somebody updates meanwhile is removed too.
    clearNext: clear('AND key > $2'),
    // Who has the lock of the table sweeps it: one process at a time.
    sweep: `
      WITH turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(${lockNumber('sweep', options)}) AS is_mine
      ), expired AS MATERIALIZED (
        SELECT ctid FROM ${table} WHERE (SELECT is_mine FROM turn) AND expires_at <= now()
        ORDER BY expires_at LIMIT ${BATCH_ROWS} FOR UPDATE SKIP LOCKED
      )
      DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM expired))`,
    look: LOOK,
    create: creation(options, table),
  };
}

function prepared(text: string): Prepared {
  const digest = createHash('sha256').update(text).digest('hex');
  return { name: `cachekit_${digest.slice(0, 32)}`, text };
}

/** The columns of the table and their types, as `look` answers them. */
export const COLUMNS =
  'bytes bytea, expires_at timestamp with time zone, key text, namespace text, version uuid';

const LOOK = `
  SELECT pg_is_in_recovery() AS is_standby, current_setting('server_encoding') AS encoding,
    n.oid IS NOT NULL AS has_schema, c.relpersistence AS persistence,
    (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, NULL), ', ' ORDER BY a.attname)
      FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attname IN ('namespace', 'key', 'version', 'bytes', 'expires_at')
    ) AS columns,
    EXISTS (SELECT FROM pg_index i
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 2
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND (SELECT count(*) FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attname IN ('namespace', 'key')
            AND a.attnum = ANY (i.indkey::int2[])) = 2
    ) AS is_unique
  FROM (SELECT 1) AS one
  LEFT JOIN pg_namespace n ON n.nspname = $1
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $2`;

/**
 * Sent as one message without values, the statements are one transaction. The lock is for those who start at the same
 * time: IF NOT EXISTS alone fails for one of two.
 */
function creation(options: TableOptions, table: string): string {
  return `
    SELECT pg_advisory_xact_lock(${lockNumber('create', options)});
    DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '${options.schema}') THEN
        CREATE SCHEMA "${options.schema}";
      END IF;
    END $$;
    ${createTable(options, table)}
    CREATE INDEX IF NOT EXISTS "${options.table}_expires_at_idx" ON ${table} (expires_at);`;
}

/** The "C" collation compares bytes, which is fast, and does not change with the system's library. */
function createTable({ durable }: TableOptions, table: string): string {
  return `CREATE ${durable ? '' : 'UNLOGGED '}TABLE IF NOT EXISTS ${table} (
      namespace text COLLATE "C" NOT NULL,
      key text COLLATE "C" NOT NULL,
      version uuid NOT NULL,
      expires_at timestamptz,
      bytes bytea NOT NULL,
      PRIMARY KEY (namespace, key)
    );`;
}

/** An advisory lock is a number that all who use it agree on; this one nobody else takes by chance. */
function lockNumber(purpose: string, { schema, table }: TableOptions): string {
  const digest = createHash('sha256').update(`cachekit ${purpose} ${schema}.${table}`).digest();
  return digest.readBigInt64BE().toString();
}
