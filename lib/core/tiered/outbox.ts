import { type Change, encodeChange } from './bus-message.js';

/** More names than this are sent as one "all": the others get over it sooner than over thousands of messages. */
const MOST_NAMES = 10_000;

/**
 * Sends changes to the other processes, one message after the other: what changes while one is on its way goes out
 * together in the next.
 */
export class Outbox {
  private waiting: Set<string> | 'all' = new Set();
  /** Sends what is waiting, once `last` has ended. */
  private next: Promise<void> | undefined;
  private last: Promise<void> = Promise.resolve();

  /**
   * @param from the word by which this instance knows its own messages
   * @param post gives a text to the bus, and resolves when it was taken
   */
  constructor(
    private readonly from: string,
    private readonly post: (text: string) => Promise<void>,
  ) {}

  /** Resolves when the message with this change was taken; rejects as the bus does. */
  send(change: Change): Promise<void> {
    this.add(change);
    if (this.next === undefined) {
      this.next = this.sendAfter(this.last);
      this.last = this.next;
    }
    return this.next;
  }

  private add(change: Change): void {
    if (this.waiting === 'all') return;
    if (change !== 'all') for (const name of change) this.waiting.add(name);
    if (change === 'all' || this.waiting.size > MOST_NAMES) this.waiting = 'all';
  }

  private async sendAfter(last: Promise<void>): Promise<void> {
    // Whether that one was taken is for those to know who waited for it.
    await Promise.allSettled([last]);
    const change = this.waiting;
    this.waiting = new Set();
    this.next = undefined;
    try {
      for (const text of encodeChange(this.from, change === 'all' ? change : [...change])) {
        await this.post(text);
      }
    } catch (error) {
      // It goes out with the next change.
      this.add(change === 'all' ? change : [...change]);
      throw error;
    }
  }
}
