import { onTestFinished, vi } from 'vitest';
import { TICK_MS, whileTimePasses } from './fake-seconds.js';

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

/** Settles as `work` does. Meanwhile the stopped clock goes as the real one, and stands still when this process does. */
export function whileThisProcessRuns<T>(work: Promise<T>): Promise<T> {
  return whileTimePasses(work, TICK_MS);
}
