import type { EntryKey } from './entry-key.js';

/**
 * Runs the read-modify-write operations of this process on one key one after the other, so that they don't make
 * each other's conditional writes fail.
 */
export class KeyQueue {
  private readonly tails = new Map<EntryKey, Promise<unknown>>();

  async run<T>(key: EntryKey, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key);
    const result = before === undefined ? work() : before.then(work, work);
    this.tails.set(key, result);
    try {
      return await result;
    } finally {
      if (this.tails.get(key) === result) this.tails.delete(key);
    }
  }
}
