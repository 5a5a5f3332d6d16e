/** Reads of one name in the far tier that began since it last changed. */
export interface FarRead {
  readonly name: string;
  running: number;
  isOvertaken: boolean;
}

/**
 * The reads in the far tier that are under way, and which of them were overtaken by a change: what those answer may be
 * what was there before, so it must not be kept.
 */
export class FarReads {
  private readonly reads = new Map<string, FarRead>();
  private readonly writes = new Map<string, number>();
  private writesOfAll = 0;

  /** Must be followed by `end`. */
  begin(name: string): FarRead {
    const isOvertaken = this.writesOfAll > 0 || this.writes.has(name);
    if (isOvertaken) return { name, running: 1, isOvertaken };
    const read = this.reads.get(name) ?? { name, running: 0, isOvertaken };
    read.running++;
    this.reads.set(name, read);
    return read;
  }

  end(read: FarRead): void {
    read.running--;
    if (read.running === 0 && this.reads.get(read.name) === read) this.reads.delete(read.name);
  }

  /** Somebody wrote these names. */
  overtake(names: readonly string[]): void {
    for (const name of names) {
      const read = this.reads.get(name);
      if (read === undefined) continue;
      read.isOvertaken = true;
      this.reads.delete(name);
    }
  }

  /** Somebody may have written any name. */
  overtakeAll(): void {
    for (const read of this.reads.values()) read.isOvertaken = true;
    this.reads.clear();
  }

  /** This process writes these names: reads that begin before `endWrite` are overtaken too. */
  beginWrite(names: readonly string[]): void {
    this.overtake(names);
    for (const name of names) this.writes.set(name, (this.writes.get(name) ?? 0) + 1);
  }

  endWrite(names: readonly string[]): void {
    for (const name of names) {
      const left = (this.writes.get(name) ?? 1) - 1;
      if (left === 0) this.writes.delete(name);
      else this.writes.set(name, left);
    }
  }

  /** This process writes all names: as `beginWrite`, until `endWriteOfAll`. */
  beginWriteOfAll(): void {
    this.overtakeAll();
    this.writesOfAll++;
  }

  endWriteOfAll(): void {
    this.writesOfAll--;
  }
}
