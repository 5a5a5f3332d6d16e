import { loadMemjs } from './memcached.client.js';
import { MemcachedConnection } from './memcached.connection.js';
import { awayError, closedError } from './memcached.failure.js';
import type { Address } from './memcached.options.js';

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;

/**
 * A way to one server that looks after itself: after every loss it comes back, until it is closed. Of `open` and
 * `close`, the one that was called last counts.
 */
export class MemcachedLink {
  readonly #address: Address;
  #connection: MemcachedConnection | undefined;
  /** The connection that is being made. */
  #next: MemcachedConnection | undefined;
  #attempt: Promise<void> | undefined;
  #closing: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Whether the first attempt since `open` is over. */
  #wasTried = false;
  /** Counts the closings, so that an attempt sees that it was overtaken by one. */
  #session = 0;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #problem: unknown;

  constructor(address: Address) {
    this.#address = address;
  }

  /**
   * Does something on the connection. Before the first attempt to connect has ended it waits for that.
   *
   * @throws BackendUnavailableError
   */
  run<T>(work: (connection: MemcachedConnection) => Promise<T>): Promise<T> {
    const connection = this.#connection;
    return connection ? connection.run(work) : this.#first().then((first) => first.run(work));
  }

  open(): Promise<void> {
    this.#isClosed = false;
    if (this.#connection) return Promise.resolve();
    if (this.#attempt) return this.#attempt;
    const attempt = this.#connect(this.#session).finally(() => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    });
    this.#attempt = attempt;
    return attempt;
  }

  close(): Promise<void> {
    const [connection, next] = [this.#connection, this.#next];
    clearTimeout(this.#retry);
    this.#session += 1;
    this.#isClosed = true;
    this.#wasTried = false;
    this.#failures = 0;
    this.#connection = undefined;
    this.#next = undefined;
    this.#attempt = undefined;
    next?.end(closedError());
    this.#closing = Promise.all([this.#closing, connection?.finish(), next?.ended]).then(() => undefined);
    return this.#closing;
  }

  async #first(): Promise<MemcachedConnection> {
    if (this.#isClosed) throw closedError();
    if (!this.#wasTried) await this.open();
    if (this.#connection) return this.#connection;
    throw this.#isClosed ? closedError() : awayError(this.#address.place, this.#problem);
  }

  async #connect(session: number): Promise<void> {
    clearTimeout(this.#retry);
    const memjs = await loadMemjs();
    if (session !== this.#session) throw closedError();
    const connection = new MemcachedConnection(memjs, this.#address);
    this.#next = connection;
    try {
      await connection.open();
    } catch {
      const reason = await connection.ended;
      if (session !== this.#session) throw closedError();
      this.#wasTried = true;
      this.#connectLater(reason);
      throw awayError(this.#address.place, reason);
    }
    if (session !== this.#session) throw closedError();
    this.#keep(connection);
  }

  #keep(connection: MemcachedConnection): void {
    this.#wasTried = true;
    this.#failures = 0;
    this.#problem = undefined;
    this.#next = undefined;
    this.#connection = connection;
    void connection.ended.then((reason) => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      this.#connectLater(reason);
    });
  }

  #connectLater(problem: unknown): void {
    this.#problem = problem;
    this.#next = undefined;
    const longestMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS);
    this.#failures += 1;
    const connect = (): void => {
      this.open().catch((error: unknown) => {
        this.#problem ??= error;
      });
    };
    // Random, so that many processes don't all come back to a restarted server at once.
    this.#retry = setTimeout(connect, longestMs * (0.5 + Math.random() / 2));
    // A process that has nothing else to do may end.
    this.#retry.unref();
  }
}
