import { setImmediate } from 'node:timers/promises';
import { onTestFinished, vi } from 'vitest';

/** A clock that goes on when the test says so. */
export interface Seconds {
  /** Lets so many seconds pass for timers, in an instant. */
  pass(seconds: number): Promise<void>;
}

/** How often time passes for what has to end while it stands still. */
export const TICK_MS = 10;

/**
 * Stops the clock of all timers until the test ends. Sockets go on.
 *
 * Call it before a client is made that waits by timers: it is ended first then, while its timers still go off. A
 * timer that the stopped clock owes when the real one is back never does, and who waits for it waits for ever.
 */
export function useFakeSeconds(): Seconds {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  return {
    async pass(seconds) {
      for (let second = 0; second < seconds; second++) {
        await vi.advanceTimersByTimeAsync(1_000);
        // Sockets are real, and get their turn in between.
        await setImmediate();
      }
    },
  };
}

/**
 * Settles as `work` does. Where a test has stopped the clock, time passes again and again.
 *
 * @param passMs how much at each tick, which come 10 ms apart. Default: a second
 */
export async function whileTimePasses<T>(work: Promise<T>, passMs = 1_000): Promise<T> {
  const ticking = setInterval(() => {
    if (vi.isFakeTimers()) vi.advanceTimersByTime(passMs);
  }, TICK_MS);
  try {
    return await work;
  } finally {
    clearInterval(ticking);
  }
}
