import type { CacheEvent } from './events.js';

/** What happened in a cache, in this process, since it was made. */
export interface CacheStats {
  /** Reads that found a usable entry, stale ones included. */
  readonly hits: number;
  /** Those of the hits that were stale. */
  readonly staleHits: number;
  readonly misses: number;
  /** Hits among hits and misses, from 0 to 1; 0 before the first read. */
  readonly hitRatio: number;
  /** Callers that waited for the load of another: neither hits nor misses. */
  readonly collapsed: number;
  /** Entries written, by `set` or after a load. */
  readonly sets: number;
  /** Keys deleted. */
  readonly deletes: number;
  /** Entries that the backend dropped for want of room. Only backends in this process tell. */
  readonly evictions: number;
  /** Loads whose answer was not stored. */
  readonly notStored: number;
  /** Refreshes of stale values in the background that were started. */
  readonly refreshes: number;
  /** Loads that failed while a stale value could be answered. */
  readonly failedRefreshes: number;
  /** Loads that ran longer than their `loadTimeout`. */
  readonly timeouts: number;
  /** Operations on the backend that failed, and entries that could not be read. */
  readonly errors: number;
  /** `open` while the backend is silent and is not asked. */
  readonly breaker: 'open' | 'closed';
  /** Invalidations that could not be written yet; `Infinity` for a whole `clear`. */
  readonly pendingInvalidations: number;
}

/** Counts events. */
export class EventCounts {
  /** One property a type, since every hit counts one up. */
  private readonly counts: Record<CacheEvent['type'], number> = {
    hit: 0,
    miss: 0,
    collapsed: 0,
    set: 0,
    delete: 0,
    evict: 0,
    refresh: 0,
    'refresh-failed': 0,
    'not-stored': 0,
    invalidate: 0,
    clear: 0,
    timeout: 0,
    breaker: 0,
    'caught-up': 0,
    error: 0,
  };
  private staleHits = 0;
  private breaker: CacheStats['breaker'] = 'closed';

  add(event: CacheEvent): void {
    if (event.type === 'hit') return this.addHit(event.stale);
    this.addOne(event.type);
    if (event.type === 'breaker') this.breaker = event.state;
  }

  addOne(type: CacheEvent['type']): void {
    this.counts[type]++;
  }

  addHit(stale: boolean): void {
    this.counts.hit++;
    if (stale) this.staleHits++;
  }

  /** @param pendingInvalidations the only figure that is not a count of events */
  stats(pendingInvalidations: number): CacheStats {
    const { hit: hits, miss: misses, ...others } = this.counts;
    return {
      hits,
      staleHits: this.staleHits,
      misses,
      hitRatio: hits + misses === 0 ? 0 : hits / (hits + misses),
      collapsed: others.collapsed,
      sets: others.set,
      deletes: others.delete,
      evictions: others.evict,
      notStored: others['not-stored'],
      refreshes: others.refresh,
      failedRefreshes: others['refresh-failed'],
      timeouts: others.timeout,
      errors: others.error,
      breaker: this.breaker,
      pendingInvalidations,
    };
  }
}
