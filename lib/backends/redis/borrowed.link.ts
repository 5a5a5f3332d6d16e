import type { EventEmitter } from 'node:events';
import { awayError } from './redis.failure.js';
import type { RedisLink } from './redis.link.js';
import type { RedisClient } from './redis.options.js';

/** A link over a client of the app, which connects again and ends as the app has set it up. */
export class BorrowedLink implements RedisLink {
  readonly #client: RedisClient;
  readonly #events: EventEmitter;
  readonly #place: string;
  #attempt: Promise<void> | undefined;
  #giveUp: (() => void) | undefined;
  problem: unknown;

  constructor(client: RedisClient, place: string) {
    this.#client = client;
    this.#events = client;
    this.#place = place;
    this.#events.on('error', this.#remember).on('node error', this.#remember).on('ready', this.#forget);
  }

  get client(): RedisClient | undefined {
    // In every other state ioredis would queue a command, by default without end.
    return this.#client.status === 'ready' ? this.#client : undefined;
  }

  awayError(reason?: string): Error {
    const outlook = `Its own options decide when it is tried again (status "${this.#client.status}").`;
    return awayError(this.#place, this.problem ?? reason, outlook);
  }

  async whenUp(): Promise<void> {
    if (this.#client.status === 'ready') return;
    if (this.#client.status === 'end') throw this.awayError();
    this.#attempt ??= this.#wait().finally(() => {
      this.#attempt = undefined;
    });
    await this.#attempt;
  }

  /** Nothing: whether its silence matters is for the app to say. */
  renew(): void {}

  async stop(): Promise<void> {
    this.#giveUp?.();
    this.#events.off('error', this.#remember).off('node error', this.#remember).off('ready', this.#forget);
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => () => {
        this.#events.off('ready', onReady).off('close', onLost).off('end', onLost);
        outcome();
      };
      const onReady = settle(resolve);
      const onLost = settle(() => reject(this.awayError()));
      this.#giveUp = onLost;
      this.#events.on('ready', onReady).on('close', onLost).on('end', onLost);
      // The rejection says less than the event 'error' that came before it.
      if (this.#client.status === 'wait') this.#client.connect().catch(onLost);
    });
  }

  readonly #remember = (error: unknown): void => {
    this.problem = error;
  };

  readonly #forget = (): void => {
    this.problem = undefined;
  };
}
