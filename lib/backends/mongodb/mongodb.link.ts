import type { MongoClient } from 'mongodb';
import type { Link } from '../link.session.js';
import { RetryTimer } from '../retry.timer.js';
import { RunningWork } from '../running-work.js';
import { settledWithin } from '../settled-within.js';
import type { EntryCollection, Writing } from './mongodb.commands.js';
import { awayError, isTopologyClosed } from './mongodb.failure.js';
import { TopologyWatch } from './topology.watch.js';
import { prepareCollection } from './ttl-index.js';

/** How long `stop` waits for commands that still run, and then for the client. */
const END_MS = 1_000;

/** What a link connects. */
export interface LinkTarget {
  readonly client: MongoClient;
  readonly collection: EntryCollection;
  readonly place: string;
  readonly writing: Writing;
  /** Whether the client is the backend's own, which connects and closes it. */
  readonly isOwn: boolean;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * A way to a collection that looks after itself: after every loss it comes back, until it is stopped. The driver connects
 * again by itself; the link knows whether it has, and whether the collection is ready. (It may be another server then,
 * where it is not.)
 */
export class MongoDBLink implements Link {
  readonly #target: LinkTarget;
  readonly #watch: TopologyWatch;
  readonly #waiters = new Set<Waiter>();
  readonly #running = new RunningWork();
  #isPrepared = false;
  #isTrying = false;
  #isStopped = false;
  #failure: unknown;
  readonly #retry = new RetryTimer(() => this.#try());

  constructor(target: LinkTarget) {
    this.#target = target;
    const listener = {
      onUp: () => this.#try(),
      onDown: () => this.#lost(),
      onUnreachable: () => this.#disappoint(),
    };
    // A client that the app has connected long ago says nothing until something changes.
    this.#watch = new TopologyWatch(target.client, listener, !target.isOwn);
  }

  /** Whether commands would be answered now. */
  get isUp(): boolean {
    return this.#isPrepared && this.#watch.isUp;
  }

  /** What went wrong; undefined while it is up. */
  get problem(): unknown {
    return this.isUp ? undefined : (this.#watch.problem ?? this.#failure);
  }

  /** Settles as the command does. */
  run<T>(command: (collection: EntryCollection) => Promise<T>): Promise<T> {
    return this.#running.run(() => command(this.#target.collection));
  }

  /** What to reject with while it is not up. `reason` is for when nothing else is known. */
  awayError(reason?: string): Error {
    return awayError(this.#target.place, this.problem ?? (reason && new Error(reason)));
  }

  /** Resolves when it is up; rejects when the attempt that runs now, or the next one, fails. */
  whenUp(): Promise<void> {
    if (this.isUp) return Promise.resolve();
    const settled = new Promise<void>((resolve, reject) => this.#waiters.add({ resolve, reject }));
    this.#try();
    return settled;
  }

  /** Lets go, and closes a client of its own. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#retry.stop();
    this.#watch.stop();
    this.#disappoint();
    if (!this.#target.isOwn) return;
    // Closing the client cuts off what still runs.
    if (this.isUp) await settledWithin(END_MS, this.#running.idle());
    await settledWithin(END_MS, this.#target.client.close());
  }

  #try(): void {
    if (this.#isTrying || this.#isStopped || this.isUp) return;
    this.#retry.stop();
    this.#isTrying = true;
    this.#prepare().then(
      () => this.#succeeded(),
      (error: unknown) => this.#failed(error),
    );
  }

  async #prepare(): Promise<void> {
    const { client, collection, writing, isOwn } = this.#target;
    if (isOwn) await client.connect();
    try {
      await prepareCollection(collection, writing);
    } catch (error) {
      // The app's client could not connect once. (One that the app has closed says something else, and stays closed.)
      if (isOwn || !isTopologyClosed(error)) throw error;
      await client.connect();
      await prepareCollection(collection, writing);
    }
  }

  #succeeded(): void {
    this.#isTrying = false;
    // It was stopped while it connected, which opened again what was closed.
    if (this.#isStopped) return void this.stop();
    this.#isPrepared = true;
    this.#retry.worked();
    this.#failure = undefined;
    if (!this.isUp) return this.#retry.later();
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters.clear();
  }

  #failed(error: unknown): void {
    this.#isTrying = false;
    this.#failure = error;
    this.#disappoint();
    if (!this.#isStopped) this.#retry.later();
  }

  #lost(): void {
    this.#isPrepared = false;
    this.#try();
  }

  #disappoint(): void {
    for (const { reject } of this.#waiters) reject(this.awayError());
    this.#waiters.clear();
  }
}
