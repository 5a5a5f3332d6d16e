import type { Scenario } from './get-or-set.js';

/** A scenario as it stands in the report: "60 B, 100 % hits, 1 at a time". */
export function nameOf({ size, hits, concurrency }: Scenario): string {
  return `${size}, ${hits * 100} % hits, ${concurrency} at a time`;
}
