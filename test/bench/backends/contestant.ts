import type { Rate } from '../measure/lanes.js';
import type { Item } from '../measure/payload.js';

/** What is measured of a backend, and of the bare client beside it. A missing entry is answered with `undefined`. */
export interface BackendContestant {
  readonly get: (key: string) => Promise<Item | undefined>;
  readonly getMany: (keys: readonly string[]) => Promise<readonly (Item | undefined)[]>;
  readonly set: (key: string, item: Item) => Promise<void>;
  /** A hit of `getOrSet`. Default: the bare client has none, so its `get` stands beside it. */
  readonly getOrSet?: (key: string, load: () => Promise<Item>) => Promise<Item | undefined>;
}

/** The calls that are measured. */
export const CALLS = ['get', 'set', 'getMany(100)', 'getOrSet hit'] as const;
export type BackendCall = (typeof CALLS)[number];

/** How many keys `getMany` asks for. */
export const KEYS_AT_ONCE = 100;

/** What a contestant's process is asked. */
export interface BackendQuestion {
  readonly call: BackendCall;
  readonly concurrency: number;
  readonly durationMs: number;
}

/** How fast it was, or why its server did not answer all calls. */
export type BackendAnswer = Rate | { readonly outage: string };
