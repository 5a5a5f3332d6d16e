const FIRST_PAUSE_MS = 25;

/** How long to wait after so many tries: longer each time, and random, so that many processes don't come back at once. */
export function backOffMs(tries: number): number {
  return FIRST_PAUSE_MS * 2 ** tries * (0.5 + Math.random() / 2);
}
