import { describe, inject, test } from 'vitest';
import { allNeedsRequired, type Need } from './need.js';

/**
 * A `describe` for tests that need a server. Where it is there, this is `describe(title, body)`. Where it is missing,
 * the body does not run: one test stands for it that names the reasons, skipped on a laptop, failed with CI=true or
 * CACHEKIT_REQUIRE_ALL=1. Inside the body whatever the global setup provides for `need` is there to `inject`.
 */
export function describeOn(need: Need, title: string, body: () => void): void {
  const missing = inject('missing')[need];
  if (!missing) return void describe(title, body);

  const sentence = `needs ${need}, which is missing (${missing.join('; ')})`;
  describe(title, () => {
    test.runIf(allNeedsRequired())(sentence, () => {
      throw new Error(`${title} ${sentence}`);
    });
  });
}
