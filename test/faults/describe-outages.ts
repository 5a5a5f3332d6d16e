import { describe } from 'vitest';
import { describeAway } from './away.obligations.js';
import { describeClosing } from './closing.obligations.js';
import { describeCuts } from './cut.obligations.js';
import { OutageStage, type OutageSuite } from './outage-stage.js';
import { describeStart } from './start.obligations.js';

/**
 * What every remote backend owes an app while its server is away, and after: nothing hangs, loads are answered,
 * failures have a type, what was invalidated is never read again, and hits come back by themselves. On a real server
 * that is killed and frozen, and behind a `FaultProxy`.
 *
 * ```ts
 * describeOn('redis process', 'RedisBackend', () => {
 *   describeOutages({
 *     start: () => startRedis(),
 *     make: (port, namespace) => new RedisBackend({ url: `redis://127.0.0.1:${port}`, namespace }),
 *   });
 * });
 * ```
 *
 * A test in a spec of one's own then covers only what is particular to the server or its client.
 */
export function describeOutages(suite: OutageSuite): void {
  const { backWithinMs = 5_000 } = suite;
  // The server goes away, is noticed to be, comes back, and is noticed again.
  describe('when its server is away', { timeout: 90_000 + 2 * backWithinMs }, () => {
    const stage = new OutageStage(suite);
    describeStart(stage);
    describeAway(stage);
    describeCuts(stage);
    describeClosing(stage);
  });
}
