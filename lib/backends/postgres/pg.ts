import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { DataSource } from 'typeorm';

/** A statement and its values, as pg takes it. */
export interface PgQuery {
  /** Where it is kept parsed on each connection. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly types?: { getTypeParser(): (text: string) => string };
}

/** What pg answers. With `AS_TEXT` every column is what Postgres sent, or null. */
export interface PgResult {
  readonly rows: readonly Readonly<Record<string, string | null>>[];
  readonly rowCount: number | null;
}

/** What is used of a client of the package pg, which typeorm hands out untyped. */
export interface PgClient extends EventEmitter {
  /** Of the process that serves this connection, once it is connected. */
  readonly processID: number | null;
  connect(): Promise<unknown>;
  query(query: PgQuery): Promise<PgResult>;
  end(): Promise<void>;
}

/** Options of a client of pg, as far as they matter here. */
export interface PgConfig {
  readonly password?: unknown;
  readonly max?: number;
  readonly stream?: unknown;
  readonly [option: string]: unknown;
}

/** Makes the stream that a client connects. */
export type MakeStream = (config: unknown) => Duplex;

/** The class of pg's clients. */
export type PgClientClass = new (config: PgConfig) => PgClient;

/** What is used of a pool of pg. */
export interface PgPool {
  readonly options: PgConfig;
  /** Calls back with a connection, or with what went wrong. */
  connect(
    callback: (
      error: Error | undefined,
      client: PgClient | undefined,
      giveBack: (problem?: Error) => void,
    ) => void,
  ): void;
  end(): Promise<void>;
}

/** What is used of typeorm's driver for Postgres. */
export interface PgDriver {
  /** The package pg. */
  readonly postgres: { readonly Client: PgClientClass };
  /** The pool of the server that is written to; absent before the data source is initialized. */
  readonly master: PgPool | undefined;
}

/** The driver below a data source of type "postgres". Statements go straight to it: typeorm logs their values. */
export function driverOf(dataSource: DataSource): PgDriver {
  const driver: unknown = dataSource.driver;
  return driver as PgDriver;
}

/** Columns as Postgres sent them, whatever parsers the app has registered with pg for its own sake. */
export const AS_TEXT = { getTypeParser: () => String };
