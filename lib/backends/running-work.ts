/** Counts what is under way, so that one can wait until nothing is. */
export class RunningWork {
  #count = 0;
  readonly #waiting: (() => void)[] = [];

  /** Settles as the work does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#count += 1;
    try {
      return await work();
    } finally {
      this.#count -= 1;
      if (this.#count === 0) for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  get isIdle(): boolean {
    return this.#count === 0;
  }

  /** Resolves when nothing is under way any more; at once if nothing is now. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
