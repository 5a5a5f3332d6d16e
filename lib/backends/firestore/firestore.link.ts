import type { CollectionReference, Firestore, Timestamp } from '@google-cloud/firestore';
import { MissingClientError } from '../../core/errors.js';
import type { Link } from '../link.session.js';
import { RetryTimer } from '../retry.timer.js';
import { awayError, callError, isAway, isOverdue } from './firestore.failure.js';
import type { ClientSource, LiveClient } from './live-client.js';
import { RunningCommands } from './running-commands.js';

/** A service far away: each attempt is a client, and perhaps a request that is billed. */
const RETRY_PAUSES = { firstMs: 250, longestMs: 2_000 };

/** How long Firestore may owe an answer and give none. */
const SILENCE_MS = 5_000;

/** How long the goodbye waits for commands that still run. */
const FINISH_MS = 1_000;

/** A document that is never there: it is not the id of any key. */
const ABSENT_ID = '%there';

/** A database that answers, as far as commands need it. */
export interface OpenDatabase {
  readonly firestore: Firestore;
  /** Where the entries of the namespace lie. */
  readonly entries: CollectionReference;
  /** The class of the client's own copy of the package: it takes no other one for a precondition. */
  readonly Timestamp: typeof Timestamp;
}

/** What to do with the database. What takes many calls calls `onProgress` after each answer. */
export type Command<Answer> = (database: OpenDatabase, onProgress: () => void) => Promise<Answer>;

/** Finds the collection of the namespace. */
export type FindEntries = (firestore: Firestore) => CollectionReference;

/** A way to Firestore that looks after itself: after every loss it comes back, until it is stopped. */
export class FirestoreLink implements Link {
  readonly #clients: ClientSource;
  readonly #place: string;
  readonly #findEntries: FindEntries;
  readonly #running = new RunningCommands(() => this.#fellSilent(), SILENCE_MS);
  /** The client of the attempt that runs, or of the connection. */
  #client: LiveClient | undefined;
  #database: OpenDatabase | undefined;
  #attempt: Promise<void> | undefined;
  #giveUp: ((error: Error) => void) | undefined;
  #isStopped = false;
  /** Counts the attempts, so that one that was given up sees it. */
  #asks = 0;
  readonly #retry = new RetryTimer(() => this.#connectAgain(), RETRY_PAUSES);
  #problem: unknown;

  constructor(clients: ClientSource, place: string, findEntries: FindEntries) {
    this.#clients = clients;
    this.#place = place;
    this.#findEntries = findEntries;
  }

  /** The database, while it answers. */
  get database(): OpenDatabase | undefined {
    return this.#database;
  }

  /** What to reject with while it does not. `reason` is for when nothing else is known. */
  awayError(reason?: string): Error {
    // What has to be installed is no outage.
    if (this.#problem instanceof MissingClientError) return this.#problem;
    return awayError(this.#place, this.#problem, reason);
  }

  /** Resolves when the database answers; rejects when the attempt that runs now, or the next one, fails. */
  whenUp(): Promise<void> {
    this.#attempt ??= this.#connect();
    return this.#attempt;
  }

  /**
   * Runs a command if the database answers now.
   *
   * @param answerIn finds the answer in an error that is none, undefined if there is no answer in it
   * @throws BackendUnavailableError
   */
  async run<Answer>(
    command: Command<Answer>,
    answerIn?: (error: unknown) => { readonly answer: Answer } | undefined,
  ): Promise<Answer> {
    const [client, database] = [this.#client, this.#database];
    if (!client || !database) throw this.awayError();
    try {
      return await this.#running.run((onProgress) => client.use(() => command(database, onProgress)));
    } catch (error) {
      const found = answerIn?.(error);
      if (found) return found.answer;
      if (database === this.#database) this.#learnFrom(error);
      throw callError(this.#place, error);
    }
  }

  /** Lets commands end that soon do, and then lets go. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#retry.stop();
    const reason = new Error('the backend was closed');
    this.#giveUp?.(reason);
    if (this.#database) await this.#running.settled(FINISH_MS);
    this.#database = undefined;
    this.#running.stop();
    this.#running.failAll(reason);
    await this.#drop(reason.message);
  }

  async #connect(): Promise<void> {
    this.#retry.stop();
    try {
      const database = await this.#inTime(this.#ask());
      if (this.#isStopped) return;
      this.#database = database;
      this.#retry.worked();
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error;
      this.#attempt = undefined;
      void this.#drop('it did not answer');
      if (!this.#isStopped && !(error instanceof MissingClientError)) this.#retry.later();
      throw this.awayError();
    }
  }

  async #ask(): Promise<OpenDatabase> {
    this.#asks += 1;
    const ask = this.#asks;
    const client = this.#client ?? (await this.#clients.make());
    if (this.#isStopped || ask !== this.#asks) {
      await client.end('it comes too late');
      throw new Error('the attempt was given up');
    }
    this.#client = client;
    const { firestore } = client;
    const entries = this.#findEntries(firestore);
    const { readTime } = await client.use(() => entries.doc(ABSENT_ID).get());
    return { firestore, entries, Timestamp: readTime.constructor as typeof Timestamp };
  }

  /** Settles as `answer` does, but rejects when it takes too long, or the link is stopped. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    const limitMs = this.#clients.answerLimitMs;
    return new Promise<T>((resolve, reject) => {
      const giveUp = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      const timer = setTimeout(() => giveUp(new Error(`no answer within ${limitMs} ms`)), limitMs);
      this.#giveUp = giveUp;
      answer.then((value) => {
        clearTimeout(timer);
        resolve(value);
      }, giveUp);
    });
  }

  #learnFrom(error: unknown): void {
    if (isAway(error)) this.#lost(error);
    // Also if other calls were answered: this one would be an answer too, in the eyes of who watches for silence.
    if (isOverdue(error)) this.#fellSilent();
  }

  #fellSilent(): void {
    const silence = new Error(`no answer for ${SILENCE_MS} ms`);
    void this.#drop(silence.message);
    this.#running.failAll(silence);
    this.#lost(silence);
  }

  #lost(problem: unknown): void {
    if (this.#isStopped) return;
    this.#database = undefined;
    this.#attempt = undefined;
    this.#problem = problem;
    this.#connectAgain();
  }

  async #drop(reason: string): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end(reason);
  }

  #connectAgain(): void {
    // It has noted why, for those who ask.
    this.whenUp().catch(() => undefined);
  }
}
