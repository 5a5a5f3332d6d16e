import type { DataSource } from 'typeorm';
import { withDeadline } from '../../core/deadline.js';
import { hold } from './hold.js';
import { driverOf, type PgClient, type PgConfig } from './pg.js';
import { stateOf } from './postgres.failure.js';
import type { Held, PostgresSource, SideClient } from './postgres.source.js';
import { makeSideClient } from './side-client.js';

/** How long a connection may take to answer that it lives. */
const ALIVE_MS = 1_000;
/** So often some connections are tried; a pool has no more dead ones than it has connections. */
const MOST_ROUNDS = 10;
/** What pg makes of a pool whose size nobody said. */
const DEFAULT_POOL_SIZE = 10;

const TOO_MANY_CONNECTIONS = '53300';

/** Connections of a data source of the app. */
export class BorrowedSource implements PostgresSource {
  readonly #dataSource: DataSource;
  readonly #maxConnections: number;
  readonly #wasLost: boolean;
  #stopped: ((reason: Error) => void) | undefined;
  #limit = 1;

  /** @param wasLost whether it follows one whose connections failed */
  constructor(dataSource: DataSource, maxConnections: number, wasLost: boolean) {
    this.#dataSource = dataSource;
    this.#maxConnections = maxConnections;
    this.#wasLost = wasLost;
  }

  get limit(): number {
    return this.#limit;
  }

  async start(): Promise<void> {
    const { max = DEFAULT_POOL_SIZE } = this.#options();
    // The other half is the app's, whatever happens to the table.
    this.#limit = Math.min(this.#maxConnections, Math.max(1, Math.floor(max / 2)));
    if (!this.#wasLost) return;
    const stopped = new Promise<never>((_, reject) => {
      this.#stopped = reject;
    });
    await Promise.race([this.#revive(), stopped]);
  }

  acquire(): Promise<Held> {
    return hold(driverOf(this.#dataSource));
  }

  side(): SideClient {
    return makeSideClient(driverOf(this.#dataSource), this.#options());
  }

  /** The pool is the app's. */
  async stop(): Promise<void> {
    this.#stopped?.(new Error('stopped'));
  }

  #options(): PgConfig {
    const pool = driverOf(this.#dataSource).master;
    if (this.#dataSource.isInitialized && pool) return pool.options;
    throw new Error('it is not initialized, or was destroyed: the app has to call its initialize()');
  }

  /**
   * First with a client beside the pool, since a pool may wait without end for a server that does not answer. Then
   * through the pool, whose idle connections may be dead without knowing it.
   */
  async #revive(): Promise<void> {
    await this.#probe();
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const tries = Array.from({ length: this.#limit }, () => this.#isAlive());
      if ((await Promise.all(tries)).every(Boolean)) return;
    }
    throw new Error('its connections do not answer');
  }

  async #probe(): Promise<void> {
    const { client, hangUp } = this.side();
    try {
      await client.connect();
      await alive(client);
    } catch (error) {
      // It answers; the pool has its connections already.
      if (stateOf(error) !== TOO_MANY_CONNECTIONS) throw error;
    } finally {
      await hangUp();
    }
  }

  /** Throws away a connection that does not answer. */
  async #isAlive(): Promise<boolean> {
    const acquiring = this.acquire();
    const held = await withDeadline(acquiring, ALIVE_MS, () => 'a connection of the pool').catch(
      (error: unknown) => {
        acquiring.then(
          (late) => late.release(),
          () => undefined,
        );
        throw error;
      },
    );
    try {
      await alive(held.client);
      held.release();
      return true;
    } catch (error) {
      held.release(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  }
}

async function alive(client: PgClient): Promise<void> {
  await withDeadline(client.query({ text: 'SELECT 1' }), ALIVE_MS, () => 'SELECT 1');
}
