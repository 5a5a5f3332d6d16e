import { BackendUnavailableError } from '../../core/errors.js';
import type { BusListener, MessageBus } from '../message-bus.js';
import type { RedisConnection } from './redis.connection.js';
import { awayError, commandError, isRefusal } from './redis.failure.js';
import type { RedisClient } from './redis.options.js';
import { Subscription } from './subscription.js';

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;

/**
 * Passes messages by Redis' pub/sub. It sends over the backend's own connection, and listens on another one, since a
 * connection that listens takes no other commands. Regular pub/sub reaches every node of a Cluster, so it listens on
 * any of them.
 */
export class RedisBus implements MessageBus {
  readonly #connection: RedisConnection;
  readonly #namespace: string;
  #subscription: Subscription | undefined;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(connection: RedisConnection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
  }

  /** Rejects when the first attempt failed, and goes on trying. @throws BackendUnavailableError */
  async listen(listener: BusListener): Promise<void> {
    try {
      const subscription = await this.#subscribe(listener);
      this.#failures = 0;
      listener.onUp();
      void subscription.ended.then(() => this.#onLost(listener));
    } catch (error) {
      this.#listenLater(listener);
      throw error;
    }
  }

  async send(text: string): Promise<void> {
    await this.#connection.run(
      (client) => client.publish(this.#channelOf(client), text),
      (receivers) => receivers,
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    await this.#subscription?.stop();
  }

  async #subscribe({ onMessage }: BusListener): Promise<Subscription> {
    const main = await this.#connection.client();
    if (this.#isClosed) throw new BackendUnavailableError('RedisBackend: its bus is closed.');
    const subscription = new Subscription(main);
    this.#subscription = subscription;
    try {
      await subscription.start(this.#channelOf(main), onMessage);
      return subscription;
    } catch (error) {
      const { place } = this.#connection;
      throw isRefusal(error) ? commandError(place, error, undefined) : awayError(place, error);
    }
  }

  #onLost(listener: BusListener): void {
    if (this.#isClosed) return;
    listener.onDown();
    this.#listenLater(listener);
  }

  #listenLater(listener: BusListener): void {
    if (this.#isClosed) return;
    const longestMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS);
    this.#failures += 1;
    const listen = () => {
      this.listen(listener).catch(() => {
        // It is tried again, and who sends hears of it.
      });
    };
    // Random, so that many processes don't all come back to a restarted server at once.
    this.#retry = setTimeout(listen, longestMs * (0.5 + Math.random() / 2));
    // A process that has nothing else to do may end.
    this.#retry.unref();
  }

  /** ioredis puts its keyPrefix before keys, and not before channels. */
  #channelOf(client: RedisClient): string {
    return `${client.options.keyPrefix ?? ''}${this.#namespace}:bus`;
  }
}
