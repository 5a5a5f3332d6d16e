import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take a minute or more, the longest first; what stands in others takes seconds. */
const LONG: readonly RegExp[] = [
  /firestore\.outage/,
  /postgres\.outage/,
  /package\//,
  /\.outage\.spec/,
  /test\/(model|processes)\.spec/,
  /conformance\//,
];

/** Begins with the files that take longest, so that none of them is left alone at the end. (Vitest goes by size.) */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rankOf(one) - rankOf(other));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONG.findIndex((pattern) => pattern.test(moduleId));
  return rank < 0 ? LONG.length : rank;
}
