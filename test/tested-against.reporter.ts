import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';
import { allNeedsRequired } from './servers/need.js';
import { formatTable, readFacts, type Fact } from './servers/tested-against.js';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Closes a run, after everything else that is printed, with the table "tested against" and one plain last line:
 * `N passed, N failed, N skipped`. Tests are counted, and what broke outside of a test (a file that can't be
 * imported, a hook, an unhandled error, a server that is missing where all are required) counts as failed. So does a
 * run in which nothing ran: it proves nothing.
 */
export class TestedAgainstReporter implements Reporter {
  private vitest: Vitest | undefined;
  private facts: Fact[] = [];
  private counts: Counts = { passed: 0, failed: 0, skipped: 0 };

  onInit(vitest: Vitest): void {
    this.vitest = vitest;
    // At exit, since vitest prints more after its last report: coverage, errors of the teardown.
    if (!vitest.config.watch) process.once('exit', (code) => this.print(code));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    // Now: the global setup's teardown removes the file.
    this.facts = this.factsOfRun();
    this.counts = count(modules);
    this.counts.failed += unhandledErrors.length;

    const missing = allNeedsRequired() ? this.facts.filter((fact) => 'missing' in fact).length : 0;
    this.counts.failed = Math.max(this.counts.failed, missing);
    if (this.counts.failed > 0 || this.counts.passed === 0) process.exitCode = 1;
    if (this.vitest?.config.watch) this.print(0);
  }

  /** Those of every project that has servers: a run may have none of them. */
  private factsOfRun(): Fact[] {
    const projects = this.vitest?.projects ?? [];
    const files = new Set(projects.map((project) => project.getProvidedContext().testedAgainstFile));
    return [...files].flatMap((file) => (file === undefined ? [] : readFacts(file)));
  }

  private print(exitCode: number): void {
    const { passed, skipped } = this.counts;
    const failed = exitCode === 0 ? this.counts.failed : Math.max(this.counts.failed, 1);
    const table = this.facts.length > 0 ? `\n${formatTable(this.facts)}\n` : '';
    process.stdout.write(`${table}\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
}

function count(modules: readonly TestModule[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) counts[outcome(test)]++;
    const broken = [module, ...module.children.allSuites()].filter((part) => isBroken(part));
    counts.failed += broken.length;
  }
  return counts;
}

/** A test that never ended, since the run was interrupted, is not one that passed or failed. */
function outcome(test: TestCase): keyof Counts {
  const { state } = test.result();
  return state === 'pending' ? 'skipped' : state;
}

/** Whether something failed in it that is not one of its tests, such as an import or a hook. */
function isBroken(part: TestModule | TestSuite): boolean {
  return part.errors().length > 0;
}
