export { describeBackend, type MakeBackend } from './describe-backend.js';
export type { TestRunner } from './runner.js';
