import { randomUUID } from 'node:crypto';
import { EntryTooLargeError, messageOf } from '../core/errors.js';
import { warnOnce } from '../core/warn-once.js';
import { CacheBackend, type Stored } from './cache-backend.js';
import type { MessageBus } from './message-bus.js';
import { storableKey } from './namespace.js';
import { PostgresBus } from './postgres/postgres.bus.js';
import { PostgresConnection } from './postgres/postgres.connection.js';
import {
  readPostgresOptions,
  type PostgresBackendOptions,
  type PostgresTarget,
} from './postgres/postgres.options.js';
import type { PgResult } from './postgres/pg.js';
import {
  BATCH_ROWS,
  qualifiedName,
  statementsFor,
  type Prepared,
  type Statements,
} from './postgres/postgres.table.js';
import { SharedReads } from './postgres/shared-reads.js';
import { Sweeper } from './sweeper.js';

export type { PostgresBackendOptions } from './postgres/postgres.options.js';

/** An index entry of Postgres holds 2,704 bytes; a longer key is no use to anybody who looks into the store. */
const MAX_KEY_BYTES = 1_024;

/** Postgres takes 1 GB, but a statement with so much takes longer than a cache should, here and there. */
const MAX_VALUE_BYTES = 64 * 1024 * 1024;

/** More than Postgres' calendar holds is for ever. */
const LONGEST_TTL_MS = 1_000 * 365 * 24 * 60 * 60 * 1_000;

/** How long a batch of rows may take to be removed. */
const BATCH_PATIENCE_MS = 20_000;

/**
 * Keeps entries in a table of Postgres 12 or newer, through a data source of typeorm: one of its own, or the app's.
 *
 * A row has namespace, key, version, the bytes, and when they expire. Expired rows are removed in batches, by one
 * process at a time.
 *
 * Connecting is lazy: `open` does it, or the first operation, and creates the table where it is missing. While Postgres
 * is away every operation rejects at once with a `BackendUnavailableError`, and the backend connects again by itself,
 * within about a second of the server's return.
 */
export class PostgresBackend extends CacheBackend {
  readonly #target: PostgresTarget;
  readonly #statements: Statements;
  readonly #connection: PostgresConnection;
  readonly #reads: SharedReads;
  readonly #sweeper: Sweeper;

  /** @throws CachekitConfigError when an option is not known, illegal, or does not go with another */
  constructor(options: PostgresBackendOptions) {
    super();
    this.#target = readPostgresOptions(options);
    this.#statements = statementsFor(this.#target);
    this.#sweeper = new Sweeper(this.#target.sweepIntervalMs, () => this.#sweep());
    this.#connection = new PostgresConnection(this.#target, this.#statements, () => this.#sweeper.start());
    this.#reads = new SharedReads(this.#target.namespace, this.#statements, (sending) =>
      this.#connection.run(sending),
    );
  }

  override async get(key: string): Promise<Stored | undefined> {
    return toStored(await this.#reads.get(storable(key)));
  }

  override async getMany(keys: readonly string[]): Promise<readonly (Stored | undefined)[]> {
    if (keys.length === 0) return [];
    const names = keys.map(storable);
    const { rows } = await this.#run(this.#statements.getMany, [[...new Set(names)]]);
    const found = new Map(rows.map((row) => [row['key'], toStored(row)]));
    return names.map((name) => found.get(name));
  }

  override async set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    const written = newEntry(key, bytes);
    await this.#run(this.#statements.set, rowOf(key, written, ttlMs));
    return written;
  }

  override async replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    const written = newEntry(key, bytes);
    const row = rowOf(key, written, ttlMs);
    const { rowCount } =
      seen === undefined
        ? await this.#run(this.#statements.writeIfAbsent, row)
        : await this.#run(this.#statements.writeIfSeen, [...row, seen]);
    return rowCount === 1 ? written : undefined;
  }

  override async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    await this.#run(this.#statements.delete, [keys.map(storable)]);
  }

  /** In batches, each a transaction of its own. One that fails leaves the rest: call it again. */
  override async clear(): Promise<void> {
    let last = await this.#clear(this.#statements.clearFirst, []);
    while (last !== null) last = await this.#clear(this.#statements.clearNext, [last]);
  }

  override open(): Promise<void> {
    return this.#connection.open();
  }

  override close(): Promise<void> {
    this.#sweeper.stop();
    this.#reads.startAnew();
    return this.#connection.close();
  }

  /** A bus on LISTEN and NOTIFY. While it listens it holds one connection more, which is in no pool. */
  override bus(): MessageBus {
    return new PostgresBus(this.#target, (channel, payload) =>
      this.#connection.run({ text: 'SELECT pg_notify($1, $2)', values: [channel, payload] }),
    );
  }

  #run(statement: Prepared, values: readonly unknown[]): Promise<PgResult> {
    const { name, text } = statement;
    return this.#connection.run({ name, text, values: [this.#target.namespace, ...values] });
  }

  /** Answers the last key of the batch, null when there was none. */
  async #clear(text: string, values: readonly string[]): Promise<string | null> {
    const { rows } = await this.#connection.run({
      text,
      values: [this.#target.namespace, ...values],
      patienceMs: BATCH_PATIENCE_MS,
    });
    return rows[0]?.['last'] ?? null;
  }

  /** Never rejects: it is tried again after the interval. */
  async #sweep(): Promise<void> {
    if (!this.#connection.isUp) return;
    const batch = { text: this.#statements.sweep, values: [], patienceMs: BATCH_PATIENCE_MS };
    try {
      let removed: number | null;
      do {
        ({ rowCount: removed } = await this.#connection.run(batch));
      } while (removed === BATCH_ROWS);
    } catch (error) {
      // What is away now is told by those who wait for an answer.
      if (!this.#connection.isUp) return;
      warnOnce(
        `PostgresBackend sweep of ${this.#target.server.place}`,
        `PostgresBackend: expired rows of ${qualifiedName(this.#target)} were not removed: ${messageOf(error)}`,
      );
    }
  }
}

function storable(key: string): string {
  return storableKey(key, MAX_KEY_BYTES);
}

function newEntry(key: string, bytes: Uint8Array): Stored {
  if (bytes.byteLength > MAX_VALUE_BYTES) {
    throw new EntryTooLargeError(key, bytes.byteLength, MAX_VALUE_BYTES, 'PostgresBackend');
  }
  return { bytes, version: randomUUID() };
}

function rowOf(key: string, { version, bytes }: Stored, ttlMs: number): unknown[] {
  return [storable(key), version, bytes, ttlMs > LONGEST_TTL_MS ? null : ttlMs];
}

function toStored(row: PgResult['rows'][0] | undefined): Stored | undefined {
  if (!row || row['version'] === null || row['version'] === undefined) return undefined;
  return { version: row['version'], bytes: Buffer.from(row['bytes'] ?? '', 'base64') };
}
