/** Where the processes count how often they loaded. */
export const LOADS_KEY = 'bench-lock-loads';

/** Asks a process for `key`, so many times at once. */
export interface LockQuestion {
  readonly key: string;
  readonly calls: number;
}
