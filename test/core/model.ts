/** A value that somebody made, and what is known of it. */
export interface Origin {
  readonly key: string;
  /** The process that made it. */
  readonly process: number;
  /** What is invalidated at a later point than this makes it old. `Infinity` while it may still take effect. */
  countsFrom: number;
  /** From then on it is expired, on the clock of `Date.now`. `Infinity` while nobody knows. */
  endsMs: number;
  /** When the operation that made it was over. */
  settled: number;
}

/** A read that begins. */
export interface Read {
  readonly key: string;
  readonly process: number;
  readonly began: number;
  readonly beganMs: number;
}

interface Invalidation {
  readonly covers: (key: string) => boolean;
  readonly process: number;
  readonly began: number;
  readonly ended: number;
  /** Whether it failed, and so is in force in its own process only, which makes up for it later. */
  isPending: boolean;
}

/** Remembers what happened, and says which values may not be read any more. Points in time are numbers of events. */
export class Model {
  private readonly origins = new Map<string, Origin>();
  private readonly invalidations: Invalidation[] = [];
  private unknown: Origin[] = [];
  private ticks = 0;

  /** @param isOnFaultyNetwork whether operations fail now and then */
  constructor(private readonly isOnFaultyNetwork: boolean) {}

  now(): number {
    return ++this.ticks;
  }

  /** A load that begins. Its value counts, and lives, from now on. */
  load(key: string, process: number, ttlMs: number): { readonly value: string; readonly origin: Origin } {
    return this.make({ key, process, countsFrom: this.now(), endsMs: Date.now() + ttlMs, settled: Infinity });
  }

  /** Sets a new value by `write`, and answers whether that worked. One that failed may take effect until `settle`. */
  async set(
    key: string,
    process: number,
    ttlMs: number,
    write: (value: string) => Promise<boolean>,
  ): Promise<void> {
    const began = this.now();
    const { value, origin } = this.make({
      key,
      process,
      countsFrom: Infinity,
      endsMs: Infinity,
      settled: Infinity,
    });
    const worked = await write(value);
    origin.endsMs = Date.now() + ttlMs;
    origin.settled = this.now();
    if (!worked) return void this.unknown.push(origin);
    origin.countsFrom = origin.settled;
    this.add((other) => other === key, process, began, true);
  }

  /** Invalidates by `write`, which answers whether that worked. */
  async invalidate(
    covers: Invalidation['covers'],
    process: number,
    write: () => Promise<boolean>,
  ): Promise<void> {
    const began = this.now();
    this.add(covers, process, began, await write());
  }

  read(key: string, process: number): Read {
    return { key, process, began: this.now(), beganMs: Date.now() };
  }

  /** Nothing is under way any more, and every process has made up for what it could not write. */
  settle(): void {
    for (const origin of this.unknown) origin.countsFrom = this.now();
    this.unknown = [];
    for (const invalidation of this.invalidations) invalidation.isPending = false;
  }

  /** What is wrong with the answer to a read. */
  fault(read: Read, value: string | undefined): string | undefined {
    if (value === undefined) return undefined;
    const origin = this.origins.get(value);
    if (origin?.key !== read.key) return `a read of ${read.key} answered ${value}`;
    const wasReady = origin.settled < read.began;
    if (wasReady && origin.endsMs <= read.beganMs)
      return `${describe(read, value)}, expired at ${origin.endsMs}`;
    const overtaken = this.findOvertaking(origin, read);
    return overtaken && `${describe(read, value)}, invalidated at ${overtaken.began}-${overtaken.ended}`;
  }

  private findOvertaking(origin: Origin, read: Read): Invalidation | undefined {
    // They stand in the order of their ends, so what stands before one that the value has outlived, it has outlived too.
    for (let index = this.invalidations.length - 1; index >= 0; index--) {
      const one = this.invalidations[index] as Invalidation;
      if (one.ended < origin.countsFrom) return undefined;
      if (this.forbids(one, origin, read)) return one;
    }
    return undefined;
  }

  private forbids(one: Invalidation, origin: Origin, read: Read): boolean {
    if (!one.covers(read.key) || origin.countsFrom > one.began || one.ended > read.began) return false;
    if (one.process === read.process) return true;
    // A process that can't read the store shares its own running loads, and knows of nobody else's invalidations.
    const isShared = origin.process === read.process && origin.settled > read.began;
    return !one.isPending && !(this.isOnFaultyNetwork && isShared);
  }

  private make(origin: Origin): { readonly value: string; readonly origin: Origin } {
    const value = `${origin.key}${this.origins.size}`;
    this.origins.set(value, origin);
    return { value, origin };
  }

  private add(covers: Invalidation['covers'], process: number, began: number, worked: boolean): void {
    this.invalidations.push({ covers, process, began, ended: this.now(), isPending: !worked });
  }
}

function describe({ key, process, began, beganMs }: Read, value: string): string {
  return `a read of ${key} in process ${process} at ${began} (${beganMs} ms) answered ${value}`;
}
