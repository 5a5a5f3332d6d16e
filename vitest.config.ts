import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.sequencer.js';
import { TestedAgainstReporter } from './test/tested-against.reporter.js';

export default defineConfig({
  // The specs import the package by its own name, as users do, and get the sources that tsconfig.json's paths name.
  resolve: { tsconfigPaths: true },
  test: {
    include: ['test/**/*.spec.ts'],
    // The apps that the packed tarball is tried in have specs of their own, for runners of their own.
    exclude: [...configDefaults.exclude, 'test/package/apps/**'],
    setupFiles: ['test/setup.ts'],
    globalSetup: ['test/servers/global-setup.ts'],
    reporters: ['default', new TestedAgainstReporter()],
    // One module registry a worker instead of one a file: a fifth of the time. Specs share no state in modules.
    isolate: false,
    // Most of the time they wait for servers, so on two cores twice as many take half the time.
    maxWorkers: 2 * availableParallelism(),
    sequence: { sequencer: LongestFirst },
    // Servers start within tests and hooks, on machines that are busy; a test that hangs is still found.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    coverage: { include: ['lib/**/*.ts'] },
    expect: { poll: { timeout: 10_000, interval: 20 } },
  },
});
