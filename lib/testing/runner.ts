/**
 * The functions of a test runner that the suite needs: Vitest's and Jest's globals fit as they are, `node:test` with
 * `{ describe, it, beforeAll: before, afterAll: after }`.
 */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  beforeAll(body: () => Promise<void>): unknown;
  afterAll(body: () => Promise<void>): unknown;
}
