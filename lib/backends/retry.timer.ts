/** The first pause and the longest, in milliseconds. */
export interface RetryPauses {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** A server in the same data centre is back in its first second, and costs next to nothing to ask. */
const USUAL: RetryPauses = { firstMs: 50, longestMs: 1_000 };

/** Does something again after it has failed, with pauses that grow until it has worked. */
export class RetryTimer {
  readonly #retry: () => void;
  readonly #pauses: RetryPauses;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param retry never throws; it calls `later` if it fails, and `worked` if not
   * @param pauses default: from 50 ms to 1 s
   */
  constructor(retry: () => void, pauses = USUAL) {
    this.#retry = retry;
    this.#pauses = pauses;
  }

  /** Does it again after a pause, twice as long as the one before. */
  later(): void {
    const { firstMs, longestMs } = this.#pauses;
    const pauseMs = Math.min(firstMs * 2 ** this.#failures, longestMs);
    this.#failures += 1;
    this.stop();
    // Random, so that many processes don't all come back to a restarted server at once.
    this.#timer = setTimeout(this.#retry, pauseMs * (0.5 + Math.random() / 2));
    // A process that has nothing else to do may end.
    this.#timer.unref();
  }

  /** The next pause is the first one again. */
  worked(): void {
    this.#failures = 0;
  }

  /** What is due is not done. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
