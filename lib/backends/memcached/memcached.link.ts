import { loadMemjs } from './memcached.client.js';
import { MemcachedConnection } from './memcached.connection.js';
import { closedError } from '../failure.js';
import { awayError } from './memcached.failure.js';
import type { Address } from './memcached.options.js';
import { RetryTimer } from '../retry.timer.js';

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
  readonly #retry = new RetryTimer(() => this.#connectAgain());
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
    this.#retry.stop();
    this.#session += 1;
    this.#isClosed = true;
    this.#wasTried = false;
    this.#retry.worked();
    this.#connection = undefined;
    this.#next = undefined;
    this.#attempt = undefined;
    next?.end(closedError('MemcachedBackend'));
    this.#closing = Promise.all([this.#closing, connection?.finish(), next?.ended]).then(() => undefined);
    return this.#closing;
  }

  async #first(): Promise<MemcachedConnection> {
    if (this.#isClosed) throw closedError('MemcachedBackend');
    if (!this.#wasTried) await this.open();
    if (this.#connection) return this.#connection;
    throw this.#isClosed ? closedError('MemcachedBackend') : awayError(this.#address.place, this.#problem);
  }

  async #connect(session: number): Promise<void> {
    this.#retry.stop();
    const memjs = await loadMemjs();
    if (session !== this.#session) throw closedError('MemcachedBackend');
    const connection = new MemcachedConnection(memjs, this.#address);
    this.#next = connection;
    try {
      await connection.open();
    } catch {
      const reason = await connection.ended;
      if (session !== this.#session) throw closedError('MemcachedBackend');
      this.#wasTried = true;
      this.#connectLater(reason);
      throw awayError(this.#address.place, reason);
    }
    if (session !== this.#session) throw closedError('MemcachedBackend');
    this.#keep(connection);
  }

  #keep(connection: MemcachedConnection): void {
    this.#wasTried = true;
    this.#retry.worked();
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
    this.#retry.later();
  }

  #connectAgain(): void {
    this.open().catch((error: unknown) => {
      this.#problem ??= error;
    });
  }
}
