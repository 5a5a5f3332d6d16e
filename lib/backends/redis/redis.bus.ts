import { BackendUnavailableError } from '../../core/errors.js';
import type { BusListener, MessageBus } from '../message-bus.js';
import type { RedisConnection } from './redis.connection.js';
import { awayError, commandError, isRefusal } from './redis.failure.js';
import type { RedisClient } from './redis.options.js';
import { RetryTimer } from '../retry.timer.js';
import { Subscription } from './subscription.js';

/**
 * Passes messages by Redis' pub/sub. It sends over the backend's own connection, and listens on another one, since a
 * connection that listens takes no other commands. Regular pub/sub reaches every node of a Cluster, so it listens on
 * any of them.
 */
export class RedisBus implements MessageBus {
  readonly #connection: RedisConnection;
  readonly #namespace: string;
  #subscription: Subscription | undefined;
  #retry: RetryTimer | undefined;
  #isClosed = false;

  constructor(connection: RedisConnection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
  }

  /** Rejects when the first attempt failed, and goes on trying. @throws BackendUnavailableError */
  listen(listener: BusListener): Promise<void> {
    const retry = new RetryTimer(() => {
      this.#listen(listener, retry).catch(() => {
        // It is tried again, and who sends hears of it.
      });
    });
    this.#retry = retry;
    return this.#listen(listener, retry);
  }

  async #listen(listener: BusListener, retry: RetryTimer): Promise<void> {
    try {
      const subscription = await this.#subscribe(listener);
      retry.worked();
      listener.onUp();
      void subscription.ended.then(() => this.#onLost(listener, retry));
    } catch (error) {
      if (!this.#isClosed) retry.later();
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
    this.#retry?.stop();
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

  #onLost(listener: BusListener, retry: RetryTimer): void {
    if (this.#isClosed) return;
    listener.onDown();
    retry.later();
  }

  /** ioredis puts its keyPrefix before keys, and not before channels. */
  #channelOf(client: RedisClient): string {
    return `${client.options.keyPrefix ?? ''}${this.#namespace}:bus`;
  }
}
