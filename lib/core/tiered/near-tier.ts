import { types } from 'node:util';
import type { Awaitable, Stored } from '../../backends/cache-backend.js';
import type { Change } from './bus-message.js';
import { FarReads } from './far-reads.js';
import type { NearCopies, NearCopy } from './near-copies.js';
import { nearName } from './near-name.js';

/** The copies of this process, kept in step with what it reads and writes in the far tier and with what it hears. */
export class NearTier {
  private readonly reads = new FarReads();

  constructor(private readonly copies: NearCopies) {}

  /** The copy under a key. On the way of every hit. */
  get(key: string): NearCopy | undefined {
    return this.copies.get(nearName(key));
  }

  /**
   * Reads from the far tier, and keeps a copy of what it answers, unless it changed meanwhile.
   *
   * @param storedIn what an answer says of each of the keys, in their order
   */
  fill<T>(
    keys: readonly string[],
    read: () => Awaitable<T>,
    storedIn: (answer: T) => readonly (Stored | undefined)[],
  ): Awaitable<T> {
    const askedAtMs = performance.now();
    const reads = keys.map((key) => this.reads.begin(nearName(key)));
    const learn = (answer: T): T => {
      const stored = storedIn(answer);
      for (const [index, { name, isOvertaken }] of reads.entries()) {
        if (!isOvertaken) this.copies.learn(name, stored[index], askedAtMs);
      }
      return answer;
    };
    const end = (): void => {
      for (const one of reads) this.reads.end(one);
    };
    return withEnd(read, learn, end);
  }

  /** Writes to the far tier. From its beginning there is no copy of these keys, and from its end none that is older. */
  async write<T>(keys: readonly string[], work: () => Awaitable<T>): Promise<T> {
    const names = keys.map(nearName);
    this.copies.drop(names);
    this.reads.beginWrite(names);
    try {
      return await work();
    } finally {
      this.reads.endWrite(names);
    }
  }

  /** As `write`, of all keys. */
  async writeAll<T>(work: () => Awaitable<T>): Promise<T> {
    this.copies.dropAll();
    this.reads.beginWriteOfAll();
    try {
      return await work();
    } finally {
      this.reads.endWriteOfAll();
    }
  }

  /** Drops what is known of names that another process changed, and of what is being read of them. */
  forget(change: Change): void {
    if (change === 'all') {
      this.copies.dropAll();
      this.reads.overtakeAll();
    } else {
      this.copies.drop(change);
      this.reads.overtake(change);
    }
  }
}

/** `end` runs in every case, at once where the answer is there at once. */
function withEnd<T>(run: () => Awaitable<T>, next: (answer: T) => T, end: () => void): Awaitable<T> {
  let isLater = false;
  try {
    const answer = run();
    isLater = types.isPromise(answer);
    return types.isPromise(answer) ? answer.then(next).finally(end) : next(answer);
  } finally {
    if (!isLater) end();
  }
}
