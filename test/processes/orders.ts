/** What a `CacheUserProcess` can be told to do with a key, in a namespace that is a cache of its own. */
export type Order = {
  readonly namespace: string;
  readonly key: string;
  /** Whether only one process may load the key. */
  readonly lock: boolean;
} & (
  | {
      /** Loads it, stands still (SIGSTOP) in mid-load, and when it goes on ends the load at once. Answers a `Late`. */
      readonly what: 'stand still in a load';
      readonly value: string;
    }
  | {
      /** Begins a load that never ends. Answers when it has begun. */
      readonly what: 'load without end';
    }
  | {
      /** Many callers ask for it at once. Answers `Asked`. */
      readonly what: 'ask often';
      readonly callers: number;
    }
);

/** What came of `stand still in a load`. */
export interface Late {
  readonly value: string;
  /** What became of the value: `set`, or why it was not stored. */
  readonly outcome: string;
}

/** What came of `ask often`. */
export interface Asked {
  readonly loads: number;
  /** Each different one once. */
  readonly answers: readonly string[];
}

/** An order that is sent to the process; 0 is the greeting of the process itself. */
export interface Message {
  readonly id: number;
  readonly order: Order;
}

/** What the process sends back. */
export interface Answer {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** How long the load that stands still may take, in milliseconds. A lease lives twice as long. */
export const LOAD_TIMEOUT_MS = 300;
