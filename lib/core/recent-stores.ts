import type { EntryKey } from './entry-key.js';

/** More keys than are stored while one read is under way. */
const MOST_KEYS = 1_000;

/**
 * Which keys the loads of this process have stored lately, and when. A read may have been answered before such a store,
 * and arrive after it: on a backend with several connections nothing keeps answers in their order.
 */
export class RecentStores {
  /** The latest last. */
  private readonly storedAt = new Map<EntryKey, number>();

  /** @param at a point of `SingleFlight.now()` */
  add(key: EntryKey, at: number): void {
    this.storedAt.delete(key);
    this.storedAt.set(key, at);
    if (this.storedAt.size <= MOST_KEYS) return;
    const [oldest] = this.storedAt.keys();
    if (oldest !== undefined) this.storedAt.delete(oldest);
  }

  /** Whether the key was stored after that point. */
  has(key: EntryKey, since: number): boolean {
    const at = this.storedAt.get(key);
    return at !== undefined && at > since;
  }
}
