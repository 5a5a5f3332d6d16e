/** What is measured with many entries: ours, what all of them are built on, a well-kept map of that kind, and a rival. */
export const SCALE_KINDS = ['cachekit', 'Map', 'lru-cache', 'cache-manager'] as const;

export type ScaleKind = (typeof SCALE_KINDS)[number];

/** What a process of the part `scale` is asked; `churn` and `invalidation` come after `costs`, which fills the cache. */
export type ScaleQuestion = 'costs' | 'churn' | 'invalidation';

/** What a read costs, by which entries are asked for. */
export interface ReadCosts {
  /** Each as often as any other: nearly every time one that is in no cache of the processor. */
  readonly uniformNs: number;
  /** The one of rank k in proportion to 1/k. */
  readonly zipfNs: number;
}

/** What one call costs at this number of entries. */
export interface Costs {
  readonly setNs: number;
  readonly get: ReadCosts;
  /** Key and payload included. */
  readonly bytesPerEntry: number;
  /** The same after each entry was read. */
  readonly bytesPerReadEntry: number;
  /** Of cachekit only. */
  readonly getOrSet?: ReadCosts;
  /** For 1,000 keys; of cachekit only. */
  readonly getManyMs?: number;
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
