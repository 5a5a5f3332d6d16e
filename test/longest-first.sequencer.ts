import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take long, however short they are, the longest first. What stands in others takes seconds. */
const LONG: readonly RegExp[] = [
  /firestore\.outage/,
  /postgres\.outage/,
  /package\//,
  /\.outage\.spec/,
  /test\/(model|processes)\.spec/,
  /conformance\//,
  /test\/connection\//,
];

/**
 * Begins with the files that take longest, so that none of them is left alone at the end. (Vitest goes by size.) They
 * take all workers but one, which meanwhile runs the specs of Nest 11: a worker belongs to one project, and the long
 * files wait more than they compute.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = (await super.sort(files)).toSorted((one, other) => rankOf(one) - rankOf(other));
    const onNest11 = sorted.filter(isOnNest11);
    const others = sorted.filter((file) => !isOnNest11(file));
    return others.toSpliced(this.ctx.config.maxWorkers - 1, 0, ...onNest11);
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONG.findIndex((pattern) => pattern.test(moduleId));
  return rank < 0 ? LONG.length : rank;
}

function isOnNest11({ project }: TestSpecification): boolean {
  return project.name === 'nest 11';
}
