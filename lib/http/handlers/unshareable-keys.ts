import { LRUCache } from 'lru-cache';
import type { EntryKey } from '../../core/entry-key.js';

/** A key that is forgotten costs those who ask for it next a wait in vain. */
const MOST_KEYS = 1_000;
/** Long enough that nobody waits in vain; short, since one odd answer must not spoil a key for others. */
const MEMORY_MS = 5_000;

/** Remembers for a few seconds which keys had an answer that can't be shared, so that nobody waits for the next one. */
export class UnshareableKeys {
  private readonly keys = new LRUCache<EntryKey, true>({ max: MOST_KEYS, ttl: MEMORY_MS });

  add(key: EntryKey): void {
    this.keys.set(key, true);
  }

  has(key: EntryKey): boolean {
    // Mostly there is none, and to ask the list would cost a look at the clock.
    return this.keys.size > 0 && this.keys.has(key);
  }
}
