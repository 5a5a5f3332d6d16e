import { withDeadline } from '../../core/deadline.js';
import { BackendTimeoutError, BackendUnavailableError } from '../../core/errors.js';
import { AS_TEXT, type PgClient, type PgResult } from './pg.js';
import {
  awayError,
  isCollision,
  isLoss,
  isOfPreparing,
  lateError,
  stateOf,
  statementError,
} from './postgres.failure.js';
import type { Held, PostgresSource } from './postgres.source.js';
import { settledWithin } from '../settled-within.js';
import type { Unanswered } from './strays.js';

/** How long the pool may take to hand out a connection, and a statement to be answered, in milliseconds. */
const ACQUIRE_MS = 2_500;
const ANSWER_MS = 2_000;
/** For each megabyte that is sent so much more. */
const PER_MEGABYTE_MS = 100;
/** How long a statement that is being cancelled may take to end. */
const CANCEL_MS = 1_000;

/** Nobody waits so long for an answer that it would be of use. */
const MOST_WAITING = 10_000;
/**
 * Counted in ticks, about two seconds in all, and not by the clock: a process that stood still has ticked once, and what
 * waited meanwhile did not wait for a connection.
 */
const TICK_MS = 250;
const LONGEST_WAIT_TICKS = 8;

const MOST_COLLISIONS = 5;

/** A statement, or what makes one as soon as there is a connection for it. */
export type Sending = Statement | (() => Statement);

/** A statement, its values, and how long it may take where that is not the usual time. */
export interface Statement {
  /** Under which it may be kept parsed, see `Prepared`. Absent: it is not. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
  /** In milliseconds. Absent: 2,000. */
  readonly patienceMs?: number;
}

interface Job {
  readonly sending: Sending;
  readonly sinceTick: number;
  resolve(result: PgResult): void;
  reject(reason: unknown): void;
}

/**
 * Runs statements, so many at once as the source allows, each lane on one connection while there is work for it. So
 * at most that many connections ever wait for a table that is locked.
 *
 * No statement holds a connection for ever: one that is late is cancelled, and if that has no answer either, the
 * connection is thrown away.
 */
export class Lanes {
  readonly #source: PostgresSource;
  readonly #place: string;
  readonly #onLoss: (problem: unknown) => void;
  readonly #waiting: Job[] = [];
  readonly #unanswered = new Set<Unanswered>();
  #open = 0;
  #tick = 0;
  #ticking: NodeJS.Timeout | undefined;
  /** Until it turns out that a pooler gives what is prepared to another connection. */
  #prepares = true;
  #ended: Error | undefined;
  #onIdle: (() => void) | undefined;

  /** @param onLoss is called once when the connections turn out to be of no use any more */
  constructor(source: PostgresSource, place: string, onLoss: (problem: unknown) => void) {
    this.#source = source;
    this.#place = place;
    this.#onLoss = onLoss;
  }

  /** @throws BackendUnavailableError */
  run(sending: Sending): Promise<PgResult> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      if (this.#waiting.length >= MOST_WAITING) return reject(this.#busy('too many statements wait'));
      this.#waiting.push({ sending, sinceTick: this.#tick, resolve, reject });
      this.#ticking ??= this.#tickLater();
      if (this.#open < this.#source.limit) void this.#openLane();
    });
  }

  /** What was sent and is not answered: it runs, or its connection was lost and nobody knows. */
  get unanswered(): readonly Unanswered[] {
    return [...this.#unanswered];
  }

  /** Takes no more, and rejects what waits. What runs goes on. */
  end(reason: Error): void {
    this.#ended ??= reason;
    clearTimeout(this.#ticking);
    for (const job of this.#waiting.splice(0)) job.reject(reason);
  }

  /** Resolves when nothing runs or waits any more. */
  idle(): Promise<void> {
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  async #openLane(): Promise<void> {
    this.#open += 1;
    let held: Held | undefined;
    let problem: Error | undefined;
    try {
      held = await this.#acquire();
      let job = this.#next();
      while (job !== undefined) {
        problem = await this.#serve(held.client, job);
        job = problem === undefined ? this.#next() : undefined;
      }
    } catch (error) {
      problem = toError(error);
    }
    // In the same turn in which it found no more work: what comes later opens another lane.
    this.#open -= 1;
    held?.release(problem);
    if (problem !== undefined) this.#lose(problem);
    if (this.#open === 0) this.#onIdle?.();
  }

  #lose(problem: unknown): void {
    if (this.#ended) return;
    this.end(awayError(this.#place, problem));
    this.#onLoss(problem);
  }

  async #acquire(): Promise<Held> {
    const acquiring = this.#source.acquire();
    try {
      return await withDeadline(
        acquiring,
        ACQUIRE_MS,
        () => 'the pool gave no connection: the app may hold all of them',
      );
    } catch (error) {
      // It can't be called off, and must not be kept.
      acquiring.then(
        (late) => late.release(),
        () => undefined,
      );
      throw error;
    }
  }

  /** The next that somebody still waits for. */
  #next(): Job | undefined {
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      if (this.#tick - job.sinceTick <= LONGEST_WAIT_TICKS) return job;
      job.reject(this.#busy('it waited too long for a connection'));
    }
    return undefined;
  }

  /** Ticks while somebody waits. */
  #tickLater(): NodeJS.Timeout {
    const ticking = setTimeout(() => {
      this.#tick += 1;
      this.#ticking = this.#waiting.length > 0 ? this.#tickLater() : undefined;
    }, TICK_MS);
    return ticking.unref();
  }

  /** Answers what went wrong if the connection is of no use any more. */
  async #serve(client: PgClient, job: Job): Promise<Error | undefined> {
    const statement = typeof job.sending === 'function' ? job.sending() : job.sending;
    const { name, text, values, patienceMs = patienceFor(values) } = statement;
    for (let collisions = 0; ;) {
      const isPrepared = this.#prepares && name !== undefined;
      const sent: Unanswered = { pid: client.processID, text, sentAtMs: performance.now() };
      this.#unanswered.add(sent);
      const answer = client.query({ text, values, types: AS_TEXT, ...(isPrepared && { name }) });
      try {
        const result = await withDeadline(answer, patienceMs, () => 'no answer');
        this.#unanswered.delete(sent);
        job.resolve(result);
        return undefined;
      } catch (error) {
        if (error instanceof BackendTimeoutError) {
          job.reject(lateError(this.#place, patienceMs));
          return this.#giveUp(sent, answer);
        }
        if (stateOf(error) !== undefined) this.#unanswered.delete(sent);
        if (isPrepared && isOfPreparing(error)) {
          this.#prepares = false;
          continue;
        }
        if (isCollision(error) && ++collisions < MOST_COLLISIONS) continue;
        job.reject(statementError(this.#place, error));
        return isLoss(error) ? toError(error) : undefined;
      }
    }
  }

  /** Ends a late statement. Without that the server would go on waiting for a lock, connection or not. */
  async #giveUp(sent: Unanswered, answer: Promise<unknown>): Promise<Error | undefined> {
    void this.#cancel(sent);
    if (!(await settledWithin(CANCEL_MS, answer))) return new Error('the server has fallen silent');
    try {
      await answer;
    } catch (error) {
      if (stateOf(error) === undefined) return toError(error);
    }
    this.#unanswered.delete(sent);
    return undefined;
  }

  async #cancel({ pid, text }: Unanswered): Promise<void> {
    try {
      const { client, hangUp } = this.#source.side();
      try {
        await client.connect();
        await client.query({ text: CANCEL, values: [pid, text] });
      } finally {
        await hangUp();
      }
    } catch (error) {
      // Then the connection is thrown away, whose loss is told.
      this.#lose(error);
    }
  }

  #busy(what: string): BackendUnavailableError {
    return new BackendUnavailableError(
      `PostgresBackend: not sent to ${this.#place}, since ${what}: ${this.#source.limit} connections are not ` +
        'enough, or something locks the table.',
    );
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Behind a pooler the number may be another's: so only what runs this very statement is cancelled. */
const CANCEL = `
  SELECT pg_cancel_backend(pid) FROM pg_stat_activity
  WHERE pid = $1 AND state = 'active' AND left(query, 200) = left($2, 200)`;

function patienceFor(values: readonly unknown[]): number {
  const bytes = values.find((value) => value instanceof Uint8Array)?.byteLength ?? 0;
  return ANSWER_MS + Math.floor((bytes / 1_000_000) * PER_MEGABYTE_MS);
}
