import { SilenceWatch } from '../silence.watch.js';

/** Commands that wait for their answers: all of them can be failed, and silence on all of them is noticed. */
export class RunningCommands {
  readonly #watch: SilenceWatch;
  readonly #failures = new Set<(error: Error) => void>();
  #onIdle: (() => void) | undefined;

  /** @param onSilence is called when no answer at all came for `silenceMs` while one was owed */
  constructor(onSilence: () => void, silenceMs: number) {
    this.#watch = new SilenceWatch(onSilence, silenceMs);
  }

  /** Settles as the command does, or rejects as `failAll` says. */
  run<Answer>(command: (onProgress: () => void) => Promise<Answer>): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const fail = (error: Error): void => {
        if (this.#end(fail)) reject(error);
      };
      this.#failures.add(fail);
      this.#watch.asked();
      const onProgress = (): void => this.#watch.heard();
      command(onProgress).then(
        (answer) => {
          if (this.#end(fail)) resolve(answer);
        },
        (error: Error) => fail(error),
      );
    });
  }

  /** Rejects them all now; what they still answer is dropped. */
  failAll(error: Error): void {
    for (const fail of this.#failures) fail(error);
  }

  /** Resolves when all have their answers, or `limitMs` are over. */
  async settled(limitMs: number): Promise<void> {
    if (this.#failures.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, limitMs);
    });
    clearTimeout(timer);
  }

  /** Stops watching. */
  stop(): void {
    this.#watch.stop();
  }

  /** Answers false for one that has ended before. */
  #end(fail: (error: Error) => void): boolean {
    if (!this.#failures.delete(fail)) return false;
    this.#watch.answered();
    if (this.#failures.size === 0) this.#onIdle?.();
    return true;
  }
}
