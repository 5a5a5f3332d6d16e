import type { Redis } from 'ioredis';
import type { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '../../core/deadline.js';
import { endClient } from './end-client.js';
import { isRefusal } from './redis.failure.js';
import { isCluster, type RedisClient } from './redis.options.js';

/** How long connecting and subscribing may take together. */
const START_MS = 3_000;
/** How often the server is asked whether it is there, and how long it may take to say so: two seconds are promised. */
const BEAT_MS = 500;
const ANSWER_MS = 1_000;

/** What is heard on a channel over one connection of its own, until that is lost. */
export class Subscription {
  /** Resolves when the connection is lost, or the server does not answer on it any more. */
  readonly ended: Promise<void>;
  readonly #client: Redis;
  readonly #over = new AbortController();
  /** What the client said went wrong. */
  #problem: unknown;

  /** @param main the connection is made like that of this client */
  constructor(main: RedisClient) {
    this.#client = duplicateOf(main);
    const events: EventEmitter = this.#client;
    events.on('error', (error: unknown) => {
      this.#problem = error;
    });
    events.once('close', () => this.#over.abort());
    this.ended = new Promise((resolve) => {
      this.#over.signal.addEventListener('abort', () => resolve());
    });
  }

  /** Resolves when every message arrives from now on. Rejects with what the client says, after which it is of no use. */
  async start(channel: string, onMessage: (text: string) => void): Promise<void> {
    const client = this.#client;
    client.on('message', (_channel: string, text: string) => onMessage(text));
    try {
      const subscribed = client.connect().then(() => client.subscribe(channel));
      await withDeadline(subscribed, START_MS, () => `subscribing to "${channel}"`);
    } catch (error) {
      client.disconnect();
      // The rejection says less than the event 'error' that came before it.
      throw this.#problem ?? error;
    }
    void this.#keepAsking();
  }

  /** Never rejects. */
  async stop(): Promise<void> {
    this.#over.abort();
    await endClient(this.#client);
  }

  /** A network that loses everything tells nobody. Messages come in order, so an answer says that none is missing. */
  async #keepAsking(): Promise<void> {
    const { signal } = this.#over;
    try {
      while (!signal.aborted) {
        await pause(BEAT_MS, undefined, { signal, ref: false });
        await withDeadline(this.#client.ping().catch(heed), ANSWER_MS, () => 'PING');
      }
    } catch {
      // Silent, lost or stopped: it is over in any case.
      this.#over.abort();
      this.#client.disconnect();
    }
  }
}

/** A user who may not ask gets an answer all the same. */
function heed(error: unknown): void {
  if (!isRefusal(error)) throw error;
}

/** A client for one connection and no more, to the same server, or on a Cluster to any of its masters. */
function duplicateOf(main: RedisClient): Redis {
  return nodeOf(main).duplicate({
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResubscribe: false,
    retryStrategy: null,
    reconnectOnError: null,
    sentinelRetryStrategy: () => null,
    disconnectTimeout: 500,
  });
}

function nodeOf(main: RedisClient): Redis {
  if (!isCluster(main)) return main;
  const masters = main.nodes('master');
  const node = masters[Math.floor(Math.random() * masters.length)];
  if (node === undefined) throw new Error('The cluster has no master now.');
  return node;
}
