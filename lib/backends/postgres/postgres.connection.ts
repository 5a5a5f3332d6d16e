import { BackendUnavailableError } from '../../core/errors.js';
import { BorrowedSource } from './borrowed.source.js';
import type { Lanes, Statement } from './lanes.js';
import { loadOwnSource } from './own.source.js';
import type { PgResult } from './pg.js';
import { PostgresLink } from './postgres.link.js';
import type { PostgresTarget, ServerOptions } from './postgres.options.js';
import type { PostgresSource, SideClient } from './postgres.source.js';
import type { Statements } from './postgres.table.js';
import { keepTable } from './table.keeper.js';

/** How long `open`, and an operation before it, waits for the first attempt. It goes on in the background. */
const OPEN_LIMIT_MS = 5_000;

/**
 * Opens, closes, and sends statements where a link to Postgres is up. Of `open` and `close`, the one that was called
 * last counts.
 */
export class PostgresConnection {
  readonly #target: PostgresTarget;
  readonly #statements: Statements;
  readonly #onOpen: () => void;
  #link: PostgresLink | undefined;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  /** Whether the first attempt since `open` is over. */
  #wasTried = false;
  /** Counts the closings, so that an `open` under way sees that it was overtaken by one. */
  #session = 0;

  /** @param onOpen is called whenever `open` is, by whomever */
  constructor(target: PostgresTarget, statements: Statements, onOpen: () => void) {
    this.#target = target;
    this.#statements = statements;
    this.#onOpen = onOpen;
  }

  /** Whether a statement would be sent now. */
  get isUp(): boolean {
    return this.#link?.lanes !== undefined;
  }

  open(): Promise<void> {
    this.#isClosed = false;
    this.#onOpen();
    if (this.#opening) return this.#opening;
    const opening = this.#open().finally(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
    return opening;
  }

  close(): Promise<void> {
    const stopped = this.#link?.stop();
    this.#isClosed = true;
    this.#session += 1;
    this.#link = undefined;
    this.#opening = undefined;
    this.#wasTried = false;
    this.#closing = Promise.all([this.#closing, stopped]).then(() => undefined);
    return this.#closing;
  }

  /**
   * Sends a statement.
   *
   * @throws BackendUnavailableError
   */
  run(statement: Statement): Promise<PgResult> {
    const lanes = this.#link?.lanes;
    if (lanes) return lanes.run(statement);
    return this.#firstLanes().then((first) => first.run(statement));
  }

  /** The lanes for a statement that found none. Waits only for the first attempt. */
  async #firstLanes(): Promise<Lanes> {
    if (this.#isClosed) throw closedError();
    if (!this.#wasTried) await this.open();
    const link = this.#link;
    if (!link) throw closedError();
    if (!link.lanes) throw link.awayError();
    return link.lanes;
  }

  async #open(): Promise<void> {
    const session = this.#session;
    const link = this.#link ?? (await this.#makeLink());
    if (session !== this.#session) throw closedError();
    this.#link = link;
    try {
      await up(link);
    } catch (error) {
      throw session === this.#session ? error : closedError();
    } finally {
      if (session === this.#session) this.#wasTried = true;
    }
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

async function up(link: PostgresLink): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((_, reject) => {
    timer = setTimeout(() => reject(link.awayError(`no answer within ${OPEN_LIMIT_MS} ms`)), OPEN_LIMIT_MS);
  });
  try {
    await Promise.race([link.whenUp(), limit]);
  } finally {
    clearTimeout(timer);
  }
}

function closedError(): BackendUnavailableError {
  return new BackendUnavailableError('PostgresBackend: it is closed. Call open() before the next operation.');
}
