import { randomBytes } from 'node:crypto';
import type { CacheBackend } from '../backends/cache-backend.js';
import { describeBytes } from './bytes.obligations.js';
import { describeClear } from './clear.obligations.js';
import { describeConditionalWrites } from './conditional-write.obligations.js';
import { describeFreshness } from './freshness.obligations.js';
import { describeKeys } from './key.obligations.js';
import { describeLifecycle } from './lifecycle.obligations.js';
import { describeLoads } from './load.obligations.js';
import type { TestRunner } from './runner.js';
import { describeTags } from './tag.obligations.js';
import { describeTtls } from './ttl.obligations.js';
import { describeValues } from './value.obligations.js';

/**
 * Makes a backend that nobody has opened yet, on a real server.
 *
 * @param namespace to be used for it: two backends with the same namespace share their entries wherever the server
 *   is shared
 */
export type MakeBackend = (namespace: string) => CacheBackend | Promise<CacheBackend>;

/** What every group of obligations works with. */
export interface BackendUnderTest {
  /** The backend of this group, open. */
  readonly backend: () => CacheBackend;
  /** Makes another one. */
  readonly make: MakeBackend;
  /** The namespace of `backend`. */
  readonly namespace: string;
  readonly runner: TestRunner;
}

/**
 * The conformance suite: every obligation of a backend, by itself and under a `CacheService`. There are no opt-outs.
 * Takes about fifteen seconds, most of it waiting for expiry.
 *
 * @param name of the backend, for the report
 * @param makeBackend makes it, on a real server
 * @param runner the test runner's functions, for instance `{ describe, it, beforeAll, afterAll }` of Vitest
 */
export function describeBackend(name: string, makeBackend: MakeBackend, runner: TestRunner): void {
  const groups = [
    describeBytes,
    describeKeys,
    describeConditionalWrites,
    describeClear,
    describeLifecycle,
    describeValues,
    describeTtls,
    describeTags,
    describeLoads,
    describeFreshness,
  ];
  runner.describe(name, () => {
    for (const describeGroup of groups) describeGroup(underTest(makeBackend, runner));
  });
}

function underTest(make: MakeBackend, runner: TestRunner): BackendUnderTest {
  const namespace = `ck-${randomBytes(6).toString('hex')}`;
  let opened: CacheBackend | undefined;
  runner.beforeAll(async () => {
    opened = await make(namespace);
    await opened.open();
  });
  runner.afterAll(async () => {
    await opened?.clear();
    await opened?.close();
  });
  const backend = (): CacheBackend => {
    if (opened === undefined) throw new Error('The backend is not open yet: use it inside a test.');
    return opened;
  };
  return { backend, make, namespace, runner };
}
