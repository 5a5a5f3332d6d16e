import type { TestProject } from 'vitest/node';
import type { Fact } from './tested-against.js';

/**
 * What a `*.server.ts` file does once, before all specs: it finds or starts the server that they share, and finds
 * what they may start for themselves. A server that is missing is a fact, not an error; only one that the user named
 * and that does not answer is an error.
 */
export type SetUp = (provide: TestProject['provide']) => Promise<{
  /** What is there, what is missing and what can't be shown, for the closing table and for `describeOn`. */
  readonly facts: readonly Fact[];
  /** Stops what it started. */
  readonly stop: () => Promise<void>;
}>;
