/** What a `CacheUserProcess` can be told to do. */
export type Order = LoadOrder | WatchOrder;

/** What it does with a key, in a namespace that is a cache of its own. */
export type LoadOrder = {
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

/** A key that it reads without a pause on two tiers, one key in each namespace: see `WatchedKey`. */
export type WatchOrder =
  | ({
      /** Begins to read it. Answers when it has been read and the bus is up. */
      readonly what: 'watch';
      readonly key: string;
    } & TwoTiersOptions)
  | {
      /** Answers the next `Glance`, of a read that begins after the order. */
      readonly what: 'look';
      readonly namespace: string;
    }
  | {
      /** Ends it, and closes the tiers. Answers `Watched`. */
      readonly what: 'stop watching';
      readonly namespace: string;
    };

/** Where two tiers are, and how long they keep copies. */
export interface TwoTiersOptions {
  readonly namespace: string;
  readonly nearTtlMs: number;
  /** Of the server of the far tier, or of a proxy before it. */
  readonly address: string;
  /** Where the bus is reached, so that its network can be broken alone. Absent means as the far tier is. */
  readonly busAddress?: string;
}

/** One read on two tiers. */
export interface Glance {
  /** What was answered, `null` for nothing. */
  readonly value: string | null;
  /** Whether the far tier was not asked. */
  readonly isNear: boolean;
  /** Whether the bus was up when the read began. */
  readonly isListening: boolean;
}

/** The same answer, as long as there was no other. */
export interface Answers {
  readonly value: string | null;
  /** When the last read began that was answered so, by `machineMs`. */
  readonly lastAskedAtMs: number;
}

/** What came of `watch`. */
export interface Watched {
  /** All answers, in their order. */
  readonly answers: readonly Answers[];
  /** What failed meanwhile. */
  readonly failures: readonly string[];
}

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

/** A clock that all processes of a machine share and nobody sets, in milliseconds. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
