/** How often everything is measured, and what. */
export interface Rounds<S, C> {
  readonly scenarios: readonly S[];
  readonly contestants: readonly C[];
  readonly rounds: number;
  readonly measure: (scenario: S, contestant: C, isWarmUp: boolean) => Promise<void>;
}

/**
 * Measures contestants by turns: within a scenario each is warmed up, then each has its turn in every round, so that a
 * machine that is slower for a while is slower for all. The order moves on with every round, so that nobody always
 * comes after the same neighbour.
 */
export async function interleave<S, C>({
  scenarios,
  contestants,
  rounds,
  measure,
}: Rounds<S, C>): Promise<void> {
  for (const scenario of scenarios) {
    for (const contestant of contestants) await measure(scenario, contestant, true);
    for (let round = 0; round < rounds; round++) {
      const first = round % contestants.length;
      const order = [...contestants.slice(first), ...contestants.slice(0, first)];
      for (const contestant of order) await measure(scenario, contestant, false);
    }
  }
}
