import type { Link } from '../link.session.js';
import { Lanes } from './lanes.js';
import { awayError } from './postgres.failure.js';
import type { PostgresSource } from './postgres.source.js';
import { RetryTimer } from '../retry.timer.js';
import { settledWithin } from '../settled-within.js';
import { endStrays } from './strays.js';

/** How long `stop` waits for statements that still run. */
const FINISH_MS = 1_000;

/** A way to Postgres that looks after itself: after every loss it comes back, until it is stopped. */
export class PostgresLink implements Link {
  readonly #makeSource: (wasLost: boolean) => PostgresSource;
  readonly #setUp: (lanes: Lanes) => Promise<void>;
  readonly #place: string;
  #source: PostgresSource | undefined;
  #lanes: Lanes | undefined;
  /** The present ones, and those since the last time that all was well. */
  #lives: Lanes[] = [];
  #attempt: Promise<void> | undefined;
  readonly #retry = new RetryTimer(() => this.#connectAgain());
  #wasLost = false;
  #isStopped = false;
  #problem: unknown;
  /** Sources of lost connections, until they have let go. */
  readonly #retiring = new Set<Promise<void>>();

  /**
   * @param makeSource makes a source for each life of the link
   * @param setUp sees to the table, before anything else is done
   */
  constructor(
    makeSource: (wasLost: boolean) => PostgresSource,
    setUp: (lanes: Lanes) => Promise<void>,
    place: string,
  ) {
    this.#makeSource = makeSource;
    this.#setUp = setUp;
    this.#place = place;
  }

  /** What runs statements, while Postgres is there. */
  get lanes(): Lanes | undefined {
    return this.#lanes;
  }

  /** What to reject with while there are no lanes. `reason` is for when nothing else is known. */
  awayError(reason?: string): Error {
    return awayError(this.#place, this.#problem ?? reason);
  }

  /** Resolves when there are lanes; rejects when the attempt that runs now, or the next one, fails. */
  whenUp(): Promise<void> {
    this.#attempt ??= this.#connect();
    return this.#attempt;
  }

  /** Lets go, after what still runs. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#retry.stop();
    if (this.#lanes) await settledWithin(FINISH_MS, this.#lanes.idle());
    this.#lanes?.end(this.awayError('closed'));
    this.#lanes = undefined;
    await this.#source?.stop();
    await Promise.all(this.#retiring);
  }

  async #connect(): Promise<void> {
    this.#retry.stop();
    const source = this.#makeSource(this.#wasLost);
    this.#source = source;
    const lanes = new Lanes(source, this.#place, (problem) => this.#lost(source, problem));
    this.#lives.push(lanes);
    try {
      await source.start();
      await endStrays(
        lanes,
        this.#lives.flatMap((life) => life.unanswered),
      );
      await this.#setUp(lanes);
    } catch (error) {
      this.#lost(source, error);
      throw this.awayError();
    }
    // It may have been lost, or stopped, while it was set up.
    if (source !== this.#source || this.#isStopped) throw this.awayError('closed');
    this.#lanes = lanes;
    this.#lives = [lanes];
    this.#retry.worked();
    this.#problem = undefined;
  }

  #lost(source: PostgresSource, problem: unknown): void {
    if (source !== this.#source) return;
    this.#source = undefined;
    this.#problem = problem;
    this.#wasLost = true;
    this.#lanes = undefined;
    this.#attempt = undefined;
    const retiring = source.stop().finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
    if (!this.#isStopped) this.#retry.later();
  }

  #connectAgain(): void {
    this.whenUp().catch((error: unknown) => {
      this.#problem ??= error;
    });
  }
}
