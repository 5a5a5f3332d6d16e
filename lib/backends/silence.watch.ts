/**
 * Notices that a server has fallen silent, from two counts: a timer for each command would cost a tenth of
 * the speed. (A network that loses everything tells nobody; TCP alone gives up after a quarter of an hour.)
 */
export class SilenceWatch {
  readonly #onSilence: () => void;
  readonly #silenceMs: number;
  #asked = 0;
  #answered = 0;
  #heard = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onSilence is called when no answer at all came for `silenceMs` while one was owed */
  constructor(onSilence: () => void, silenceMs: number) {
    this.#onSilence = onSilence;
    this.#silenceMs = silenceMs;
  }

  asked(): void {
    this.#asked += 1;
    if (this.#timer === undefined) this.#listen();
  }

  /** What was asked has its answer, or has failed. */
  answered(): void {
    this.#answered += 1;
    this.#heard += 1;
  }

  /** A part of an answer came, in something that takes many commands. */
  heard(): void {
    this.#heard += 1;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #listen(): void {
    const heardBefore = this.#heard;
    const timer = setTimeout(() => {
      // One poll phase later: after a pause of this process, answers lie in the socket when the timer is due.
      setImmediate(() => {
        if (timer === this.#timer) this.#judge(heardBefore);
      });
    }, this.#silenceMs);
    timer.unref();
    this.#timer = timer;
  }

  #judge(heardBefore: number): void {
    this.#timer = undefined;
    if (this.#asked === this.#answered) return;
    if (this.#heard === heardBefore) this.#onSilence();
    this.#listen();
  }
}
