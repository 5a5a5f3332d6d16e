import type { RedisClient } from './redis.options.js';

/** A way to Redis that looks after itself: after every loss it comes back, until it is stopped. */
export interface RedisLink {
  /** The client, while it takes commands. */
  readonly client: RedisClient | undefined;
  /** What went wrong since the link was up last. */
  readonly problem: unknown;
  /** What to reject with while there is no client. `reason` is for when nothing else is known. */
  awayError(reason?: string): Error;
  /** Resolves when there is a client; rejects when the attempt that runs now, or the next one, fails. */
  whenUp(): Promise<void>;
  /** Gets another connection in place of this one, which has fallen silent. */
  renew(silence: unknown): void;
  /** Lets go. Never rejects. */
  stop(): Promise<void>;
}
