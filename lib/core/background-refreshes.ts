/** So many refreshes run at once; beyond, stale values are answered and refreshed at a later read. */
const MOST_AT_ONCE = 100;

/** The refreshes that nobody waits for: not too many at once, and none left behind at shutdown. */
export class BackgroundRefreshes {
  private readonly running = new Set<Promise<void>>();
  private isClosed = false;

  /** Whether another one may start. */
  get admits(): boolean {
    return !this.isClosed && this.running.size < MOST_AT_ONCE;
  }

  /** How many are running. */
  get count(): number {
    return this.running.size;
  }

  /** @param refresh one that was started, and never rejects */
  add(refresh: Promise<void>): void {
    this.running.add(refresh);
    void refresh.then(() => this.running.delete(refresh));
  }

  /** Lets no more start, and resolves when those that run have ended, or after `atMostMs`. */
  async drain(atMostMs: number): Promise<void> {
    this.isClosed = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, atMostMs);
    });
    await Promise.race([Promise.all(this.running), late]);
    clearTimeout(timer);
  }
}
