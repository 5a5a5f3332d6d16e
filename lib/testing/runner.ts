/**
 * The functions of a test runner that the suite needs: Vitest's and Jest's fit as they are, `node:test`'s as
 * `{ describe, it, beforeAll: before, afterAll: after }`.
 */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>) => unknown;
  readonly beforeAll: (body: () => Promise<void>) => unknown;
  readonly afterAll: (body: () => Promise<void>) => unknown;
}
