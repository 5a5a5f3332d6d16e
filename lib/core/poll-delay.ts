const FIRST_MS = 20;
const GROWTH = 1.5;
const LONGEST_MS = 200;

/**
 * Waits before looking again whether another process is done: longer each time, and never as long as others do, so
 * that they don't all come at once.
 *
 * @param polls how often it was looked already
 * @param atMostMs no longer than this
 */
export function pollDelay(polls: number, atMostMs: number): Promise<void> {
  const delayMs = Math.min(FIRST_MS * GROWTH ** polls, LONGEST_MS) * (0.75 + Math.random() / 2);
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, Math.min(delayMs, atMostMs)));
  });
}
