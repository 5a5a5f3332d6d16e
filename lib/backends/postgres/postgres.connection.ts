import { BorrowedSource } from './borrowed.source.js';
import { LinkSession } from '../link.session.js';
import type { Lanes, Sending } from './lanes.js';
import { loadOwnSource } from './own.source.js';
import type { PgResult } from './pg.js';
import { PostgresLink } from './postgres.link.js';
import type { PostgresTarget, ServerOptions } from './postgres.options.js';
import type { PostgresSource, SideClient } from './postgres.source.js';
import type { Statements } from './postgres.table.js';
import { keepTable } from './table.keeper.js';

/**
 * Opens, closes, and sends statements where a link to Postgres is up. Of `open` and `close`, the one that was called
 * last counts.
 */
export class PostgresConnection {
  readonly #target: PostgresTarget;
  readonly #statements: Statements;
  readonly #session: LinkSession<PostgresLink>;

  /** @param onOpen is called whenever `open` is, by whomever */
  constructor(target: PostgresTarget, statements: Statements, onOpen: () => void) {
    this.#target = target;
    this.#statements = statements;
    this.#session = new LinkSession({ makeLink: () => this.#makeLink(), backend: 'PostgresBackend', onOpen });
  }

  /** Whether a statement would be sent now. */
  get isUp(): boolean {
    return this.#session.link?.lanes !== undefined;
  }

  open(): Promise<void> {
    return this.#session.open();
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /**
   * Sends a statement.
   *
   * @throws BackendUnavailableError
   */
  run(sending: Sending): Promise<PgResult> {
    const lanes = this.#session.link?.lanes;
    if (lanes) return lanes.run(sending);
    return this.#firstLanes().then((first) => first.run(sending));
  }

  /** The lanes for a statement that found none. Waits only for the first attempt. */
  async #firstLanes(): Promise<Lanes> {
    const link = await this.#session.first();
    if (!link.lanes) throw link.awayError();
    return link.lanes;
  }

  async #makeLink(): Promise<PostgresLink> {
    const { place } = this.#target.server;
    const makeSource = await loadSource(this.#target.server);
    const setUp = (lanes: Lanes): Promise<void> => keepTable(lanes, this.#statements, this.#target, place);
    return new PostgresLink(makeSource, setUp, place);
  }
}

/**
 * What makes sources of connections.
 *
 * @throws MissingClientError
 */
async function loadSource(server: ServerOptions): Promise<(wasLost: boolean) => PostgresSource> {
  if (server.kind === 'server') return loadOwnSource(server);
  return (wasLost) => new BorrowedSource(server.dataSource, server.maxConnections, wasLost);
}

/**
 * What makes clients beside any pool, for a bus.
 *
 * @throws MissingClientError
 */
export async function loadSideClients(server: ServerOptions): Promise<() => SideClient> {
  const makeSource = await loadSource(server);
  return () => makeSource(false).side();
}
