/** What a process of the part `scale` is asked; `churn` and `invalidation` come after `costs`, which fills the cache. */
export type ScaleQuestion = 'costs' | 'churn' | 'invalidation';

/** What one call costs at this number of entries. A bare map has only `set` and `get`. */
export interface Costs {
  readonly setNs: number;
  readonly getNs: number;
  readonly getOrSetNs?: number;
  /** For 1,000 keys. */
  readonly getManyMs?: number;
  /** Key and payload included. */
  readonly bytesPerEntry: number;
}

/** For how long the event loop stood still. */
export interface Delays {
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Churn {
  readonly idle: Delays;
  readonly evicting: Delays;
  readonly expiring: Delays;
  readonly evicted: number;
  readonly expired: number;
}

export interface Invalidation {
  readonly setNs: number;
  readonly hitNs: number;
  readonly invalidateMs: number;
  readonly clearMs: number;
}
