import type { EventEmitter } from 'node:events';
import type { Cluster, Redis } from 'ioredis';
import { withDeadline } from '../../core/deadline.js';
import { endClient } from './end-client.js';
import { awayError } from './redis.failure.js';
import type { RedisLink } from './redis.link.js';
import { isCluster, type RedisClient } from './redis.options.js';
import { RetryTimer } from '../retry.timer.js';

/** How long a server that took the connection may need to say that it is ready, and then to enter the database. */
const HANDSHAKE_MS = 2_000;

/** A link with clients of its own, a new one for each connection. */
export class OwnLink implements RedisLink {
  readonly #create: () => RedisClient;
  readonly #place: string;
  /** The client of the attempt that runs, or of the connection. */
  #current: RedisClient | undefined;
  #attempt: Promise<void> | undefined;
  #isUp = false;
  #isStopped = false;
  readonly #retry = new RetryTimer(() => this.#connectAgain());
  problem: unknown;

  constructor(create: () => RedisClient, place: string) {
    this.#create = create;
    this.#place = place;
  }

  get client(): RedisClient | undefined {
    return this.#isUp && this.#current?.status === 'ready' ? this.#current : undefined;
  }

  awayError(reason?: string): Error {
    return awayError(this.#place, this.problem ?? reason);
  }

  whenUp(): Promise<void> {
    this.#attempt ??= this.#connect();
    return this.#attempt;
  }

  renew(silence: unknown): void {
    const silent = this.client;
    if (!silent) return;
    this.#isUp = false;
    this.problem = silence;
    silent.disconnect();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#retry.stop();
    if (this.#current) await endClient(this.#current);
  }

  async #connect(): Promise<void> {
    this.#retry.stop();
    const client = this.#create();
    this.#current = client;
    this.#watch(client);
    const up = readyOrEnd(client, () => this.awayError());
    giveUpHandshake(client, () => {
      this.problem ??= new Error(`it took the connection, and was not ready within ${HANDSHAKE_MS} ms`);
    });
    // The events tell more, and the promise of a Cluster that is down may never settle.
    client.connect().catch((error: unknown) => {
      this.problem ??= error;
    });
    await up;
    if (isCluster(client)) await connectMasters(client);
    else await this.#enterDatabase(client);
    this.#isUp = client === this.#current;
    this.#retry.worked();
    this.problem = undefined;
  }

  /** ioredis stays in database 0 without a word where the server refuses the one that it was told. */
  async #enterDatabase(client: Redis): Promise<void> {
    const { db = 0 } = client.options;
    if (db === 0) return;
    try {
      // Nothing else bounds it: the watch over silence begins when the link is up.
      await withDeadline(client.select(db), HANDSHAKE_MS, () => `SELECT ${db}`);
    } catch (error) {
      this.problem = error;
      client.disconnect();
      throw this.awayError();
    }
  }

  #watch(client: EventEmitter): void {
    const remember = (error: unknown) => {
      this.problem = error;
    };
    client.on('error', remember);
    client.on('node error', remember);
    client.once('end', () => {
      this.#isUp = false;
      this.#current = undefined;
      this.#attempt = undefined;
      if (!this.#isStopped) this.#retry.later();
    });
  }

  #connectAgain(): void {
    this.whenUp().catch((error: unknown) => {
      this.problem ??= error;
    });
  }
}

function readyOrEnd(client: EventEmitter, failure: () => Error): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('ready', resolve);
    client.once('end', () => reject(failure()));
  });
}

/** ioredis bounds how long connecting takes, and not what comes after it. */
function giveUpHandshake(client: RedisClient, onGivenUp: () => void): void {
  const events: EventEmitter = client;
  let timer: NodeJS.Timeout | undefined;
  events.once('connect', () => {
    timer = setTimeout(() => {
      onGivenUp();
      client.disconnect();
    }, HANDSHAKE_MS);
  });
  events.once('ready', () => clearTimeout(timer));
  events.once('end', () => clearTimeout(timer));
}

/**
 * A Cluster connects to a node at its first command, and refuses the second, which comes while it connects.
 * A node that can't be reached now is left to its commands: the others work.
 */
async function connectMasters(cluster: Cluster): Promise<void> {
  const waiting = cluster.nodes('master').filter((node) => node.status === 'wait');
  await Promise.allSettled(waiting.map((node) => node.connect()));
}
