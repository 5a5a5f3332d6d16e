import { CachekitError } from './errors.js';

/** So many refreshes run at once; beyond, stale values are answered and refreshed at a later read. */
const MOST_AT_ONCE = 100;

/** The refreshes that nobody waits for: not too many at once, and none left behind at shutdown. */
export class BackgroundRefreshes {
  /** Each with what aborts its load. */
  private readonly running = new Map<Promise<void>, AbortController>();
  private isClosed = false;

  /** Whether another one may start. */
  get admits(): boolean {
    return !this.isClosed && this.running.size < MOST_AT_ONCE;
  }

  /** How many are running. */
  get count(): number {
    return this.running.size;
  }

  /**
   * @param refresh one that was started, and never rejects
   * @param abort aborts its load, with which it ends
   */
  add(refresh: Promise<void>, abort: AbortController): void {
    this.running.set(refresh, abort);
    void refresh.then(() => this.running.delete(refresh));
  }

  /** Lets no more start, and resolves when those that run have ended. After `atMostMs` their loads are aborted. */
  async drain(atMostMs: number): Promise<void> {
    this.isClosed = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, atMostMs);
    });
    await Promise.race([this.allEnded(), late]);
    clearTimeout(timer);
    for (const abort of this.running.values()) abort.abort(shutDownAfter(atMostMs));
    // They give back what they hold in the store, and none goes on to use a backend that is closed next.
    await this.allEnded();
  }

  private async allEnded(): Promise<void> {
    await Promise.all(this.running.keys());
  }
}

function shutDownAfter(waitedMs: number): CachekitError {
  return new CachekitError(
    `This refresh in the background was given up: the app shuts down, and has waited ${waitedMs} ms for it.`,
  );
}
