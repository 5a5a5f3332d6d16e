import type { Link } from '../link.session.js';
import type { RedisClient } from './redis.options.js';

/** A way to Redis. */
export interface RedisLink extends Link {
  /** The client, while it takes commands. */
  readonly client: RedisClient | undefined;
  /** What went wrong since the link was up last. */
  readonly problem: unknown;
  /** Gets another connection in place of this one, which has fallen silent. */
  renew(silence: unknown): void;
}
