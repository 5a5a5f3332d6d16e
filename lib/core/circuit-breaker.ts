/** So many operations in a row that were not answered in time, and the next one is not even tried. */
const TIMEOUTS_TO_OPEN = 5;
/** For this long; then one operation finds out whether the backend is back. */
const OPEN_MS = 1_000;

/**
 * Keeps callers from waiting for a backend that does not answer: each of them would wait for its whole deadline.
 *
 * Only silence counts. A backend that refuses (no connection, read only, out of memory) does so at once, and what it
 * refuses to one operation it may grant to another.
 */
export class CircuitBreaker {
  private timeouts = 0;
  private openUntilMs = 0;
  private probing = false;

  /** @param tell is told when it opens and when it closes */
  constructor(private readonly tell: (state: 'open' | 'closed') => void) {}

  /** Whether the backend is silent, as far as is known. */
  get isOpen(): boolean {
    return this.openUntilMs > 0;
  }

  /** Whether an operation may be tried now. One that may must end in a call of one of the methods below. */
  admits(): boolean {
    if (!this.isOpen) return true;
    if (this.probing || performance.now() < this.openUntilMs) return false;
    this.probing = true;
    return true;
  }

  /** The backend answered, be it with an error. */
  answered(): void {
    this.probing = false;
    this.timeouts = 0;
    if (!this.isOpen) return;
    this.openUntilMs = 0;
    this.tell('closed');
  }

  /** The backend did not answer in time. */
  timedOut(): void {
    this.probing = false;
    this.timeouts++;
    if (this.timeouts < TIMEOUTS_TO_OPEN) return;
    const wasOpen = this.isOpen;
    this.openUntilMs = performance.now() + OPEN_MS;
    if (!wasOpen) this.tell('open');
  }
}
