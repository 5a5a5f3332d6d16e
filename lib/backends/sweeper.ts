/** Node takes a longer time for one millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Does something again and again, until it is stopped, and never twice at once. */
export class Sweeper {
  readonly #intervalMs: number;
  readonly #sweep: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param intervalMs how often, on average; `Infinity`: never
   * @param sweep says itself what went wrong, and never rejects
   */
  constructor(intervalMs: number, sweep: () => Promise<void>) {
    this.#intervalMs = intervalMs;
    this.#sweep = sweep;
  }

  /** Does nothing when it is started already. */
  start(): void {
    if (this.#timer === undefined && this.#intervalMs !== Infinity) this.#later();
  }

  /** A sweep under way ends by itself. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #later(): void {
    // Random, so that many processes don't all come at once.
    const delayMs = Math.min(this.#intervalMs * (0.75 + Math.random() / 2), LONGEST_TIMER_MS);
    const timer = setTimeout(() => {
      void this.#sweep().then(() => {
        // Unless it was stopped meanwhile, or even started anew.
        if (timer === this.#timer) this.#later();
      });
    }, delayMs);
    // A process that has nothing else to do may end.
    timer.unref();
    this.#timer = timer;
  }
}
