import type { PgClient } from './pg.js';

/** A connection of a pool, for the one who asked for it. */
export interface Held {
  readonly client: PgClient;
  /** Gives it back; with a problem it is thrown away, and the pool makes another when it needs one. */
  release(problem?: Error): void;
}

/** A client beside the pool. */
export interface SideClient {
  readonly client: PgClient;
  /** Ends it, by force when the server does not take part. Never rejects. */
  readonly hangUp: () => Promise<void>;
}

/** Where connections come from. */
export interface PostgresSource {
  /** How many connections may be held at once. Known after `start`. */
  readonly limit: number;
  /** Gets ready to give connections; rejects when that fails now. A source is started once. */
  start(): Promise<void>;
  /** A connection to the server that is written to. May take long: who gives up waiting gives it back later. */
  acquire(): Promise<Held>;
  /**
   * A client of its own, not connected yet. It gives up connecting by itself.
   *
   * @throws when nothing is known yet of where to connect to
   */
  side(): SideClient;
  /** Lets go of what it has opened, by force where the server is silent. Never rejects. */
  stop(): Promise<void>;
}
