import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.sequencer.js';
import { nest11 } from './test/nest-11/nest-11.plugin.js';
import { TestedAgainstReporter } from './test/tested-against.reporter.js';

export default defineConfig({
  // The specs import the package by its own name, as users do, and get the sources that tsconfig.json's paths name.
  resolve: { tsconfigPaths: true },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'nest 12',
          include: ['test/**/*.spec.ts'],
          provide: { nest: 12 },
          globalSetup: ['test/servers/global-setup.ts'],
        },
      },
      {
        extends: true,
        plugins: [nest11()],
        test: {
          name: 'nest 11',
          include: ['test/nest.spec.ts', 'test/{health,http,methods,module}/*.spec.ts'],
          // What needs a server is shown on Nest 12 alone.
          exclude: ['test/http/{load,outage}.spec.ts', 'test/module/open-handles.spec.ts'],
          provide: { nest: 11 },
        },
      },
    ],
    // The apps that the packed tarball is tried in have specs of their own, for runners of their own.
    exclude: [...configDefaults.exclude, 'test/package/apps/**'],
    setupFiles: ['test/setup.ts'],
    globalSetup: ['test/servers/remove-vitest-folder.ts'],
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
