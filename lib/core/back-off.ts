import type { EntryKey } from './entry-key.js';

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
/** More keys than these fail only when everything does; then the oldest are tried again sooner. */
const MOST_KEYS = 10_000;

interface Failures {
  readonly count: number;
  readonly untilMs: number;
}

/**
 * Remembers which loads failed while a stale value could be answered instead, so that an origin that is in trouble is
 * asked less and less: after one second, two, four, at last every 30 seconds.
 */
export class BackOff {
  private readonly failures = new Map<EntryKey, Failures>();

  /** Whether it is too early to load this key again. */
  holdsBack(key: EntryKey): boolean {
    const known = this.failures.get(key);
    return known !== undefined && performance.now() < known.untilMs;
  }

  failed(key: EntryKey): void {
    const count = (this.failures.get(key)?.count ?? 0) + 1;
    const delayMs = Math.min(FIRST_MS * 2 ** (count - 1), LONGEST_MS);
    // Anew at the end, so that the first of the map is the oldest.
    this.failures.delete(key);
    this.failures.set(key, { count, untilMs: performance.now() + delayMs });
    if (this.failures.size > MOST_KEYS) this.forgetOldest();
  }

  /** A load worked, so the next failure is a first one. */
  worked(key: EntryKey): void {
    if (this.failures.size > 0) this.failures.delete(key);
  }

  private forgetOldest(): void {
    for (const oldest of this.failures.keys()) return void this.failures.delete(oldest);
  }
}
