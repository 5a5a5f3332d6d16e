/** Calls a sweep again and again while it is started; after each, the next one is due an interval later. */
export class Sweeper {
  readonly #intervalMs: number | undefined;
  readonly #sweep: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param intervalMs in milliseconds; undefined: it never sweeps
   * @param sweep removes what has expired; says itself what went wrong, and never rejects
   */
  constructor(intervalMs: number | undefined, sweep: () => Promise<void>) {
    this.#intervalMs = intervalMs;
    this.#sweep = sweep;
  }

  /** A second time does nothing. */
  start(): void {
    if (this.#intervalMs === undefined || this.#timer) return;
    this.#sweepLater(this.#intervalMs);
  }

  /** A sweep under way ends by itself. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #sweepLater(intervalMs: number): void {
    const sweep = async (): Promise<void> => {
      await this.#sweep();
      if (timer === this.#timer) this.#sweepLater(intervalMs);
    };
    // Random, so that many processes don't all look for the same entries at the same time.
    const timer = setTimeout(() => void sweep(), intervalMs * (0.5 + Math.random() / 2));
    // A process that has nothing else to do may end.
    timer.unref();
    this.#timer = timer;
  }
}
