import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What becomes of the bytes that a delay line reads. */
export interface DelayLineOptions {
  /** How long a chunk that comes now is to be under way, in milliseconds. */
  readonly delayMs: () => number;
  /** Resolves when chunks may arrive: at once, unless they are held back. Rejects when `over` aborts. */
  readonly untilFlowing: () => Promise<void>;
  /** Takes a chunk that arrives; absent for the end of the stream. The next one waits until it is done. */
  readonly deliver: (chunk: Buffer | undefined) => Promise<void>;
  /** Aborts when the connection is over, and with it what is still under way. */
  readonly over: AbortSignal;
}

interface InTransit {
  readonly chunk: Buffer | undefined;
  /** When it is to arrive, on the clock of `performance.now`. */
  readonly dueMs: number;
}

/** More than this is not read ahead, so that a sender feels a receiver that does not read. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** A timer that goes off later than this was held up by more than other work of this process, in milliseconds. */
const STANDSTILL_MS = 200;

/** Reads what one side of a connection says and delivers it later, in order. */
export class DelayLine {
  private readonly inTransit: InTransit[] = [];
  private bytesInTransit = 0;
  private lastDueMs = 0;
  private isRunning = false;

  constructor(
    private readonly from: Socket,
    private readonly options: DelayLineOptions,
  ) {
    from.on('data', (chunk: Buffer) => this.take(chunk));
    from.on('end', () => this.take(undefined));
  }

  private take(chunk: Buffer | undefined): void {
    // Each chunk is late by its own delay, not by the sum of those before it, but none overtakes another.
    this.lastDueMs = Math.max(this.lastDueMs, performance.now() + this.options.delayMs());
    this.inTransit.push({ chunk, dueMs: this.lastDueMs });
    this.bytesInTransit += chunk?.length ?? 0;
    if (this.bytesInTransit > READ_AHEAD_BYTES) this.from.pause();
    if (!this.isRunning) void this.run();
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    try {
      for (let next = this.inTransit.shift(); next; next = this.inTransit.shift()) await this.arrive(next);
    } catch (error) {
      // Waiting was given up, since the connection is over and nobody is left to hear of the rest.
      if (!this.options.over.aborted) throw error;
    }
    this.isRunning = false;
  }

  private async arrive({ chunk, dueMs }: InTransit): Promise<void> {
    const { over, untilFlowing, deliver } = this.options;
    await this.untilDue(dueMs);
    await untilFlowing();
    over.throwIfAborted();
    this.bytesInTransit -= chunk?.length ?? 0;
    if (this.bytesInTransit <= READ_AHEAD_BYTES) this.from.resume();
    await deliver(chunk);
  }

  /** While this process stands still its network does too: else a late answer would come along with its deadline. */
  private async untilDue(dueMs: number): Promise<void> {
    const { over } = this.options;
    const waitMs = dueMs - performance.now();
    if (waitMs <= 0) return;
    await delay(waitMs, undefined, { signal: over });
    if (performance.now() - dueMs > STANDSTILL_MS) await this.untilDue(performance.now() + waitMs);
  }
}
