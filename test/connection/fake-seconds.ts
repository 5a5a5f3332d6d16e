import { setImmediate } from 'node:timers/promises';
import { onTestFinished, vi } from 'vitest';

/** A clock that goes on when the test says so. */
export interface Seconds {
  /** Lets so many seconds pass for timers, in an instant. */
  pass(seconds: number): Promise<void>;
}

/** Stops the clock of all timers until the test ends. Sockets go on. */
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
