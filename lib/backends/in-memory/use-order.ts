/** Something that is used, and its place among the others. */
export interface Used {
  /** The one used next before it. */
  older: Used | undefined;
  /** The one used next after it. */
  newer: Used | undefined;
}

/** Entries in the order in which they were used last: a doubly linked list, threaded through the entries themselves. */
export class UseOrder<T extends Used> {
  /** The one not used for the longest time. */
  private first: T | undefined;
  private last: T | undefined;

  get oldest(): T | undefined {
    return this.first;
  }

  add(entry: T): void {
    entry.older = this.last;
    if (this.last === undefined) this.first = entry;
    else this.last.newer = entry;
    this.last = entry;
  }

  remove(entry: T): void {
    const { older, newer } = entry;
    if (older === undefined) this.first = newer as T | undefined;
    else older.newer = newer;
    if (newer === undefined) this.last = older as T | undefined;
    else newer.older = older;
    // A removed entry that somebody still holds keeps no other alive.
    entry.older = undefined;
    entry.newer = undefined;
  }

  /** It was used just now. */
  touch(entry: T): void {
    if (entry === this.last) return;
    this.remove(entry);
    this.add(entry);
  }
}
