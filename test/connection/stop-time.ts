import { onTestFinished, vi } from 'vitest';

/**
 * Stops the clock of all timers until the test ends, and the one that tells how long somebody has waited. Sockets go
 * on, and `expect.poll` lets 20 ms pass after each try that fails. So nothing is late that works in the end, however
 * busy the machine is. For tests that say what happens when operations work.
 *
 * Call it before backends are made: they are closed first then, while the time stands still.
 */
export function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

const TICK_MS = 20;

/** Settles as `work` does. Meanwhile the stopped clock goes as the real one, and stands still when this process does. */
export async function whileThisProcessRuns<T>(work: Promise<T>): Promise<T> {
  const ticking = setInterval(() => vi.advanceTimersByTime(TICK_MS), TICK_MS);
  try {
    return await work;
  } finally {
    clearInterval(ticking);
  }
}
