import { median, quantile } from 'simple-statistics';

/** What was measured of one contestant in one scenario, a number a round. */
export class Samples {
  readonly #rounds = new Map<string, number[]>();

  add(scenario: string, contestant: string, value: number): void {
    const key = keyOf(scenario, contestant);
    const rounds = this.#rounds.get(key);
    if (rounds === undefined) this.#rounds.set(key, [value]);
    else rounds.push(value);
  }

  /** @throws Error if nothing was measured */
  median(scenario: string, contestant: string): number {
    return median(this.#of(scenario, contestant));
  }

  /** Half the distance between the quartiles, as a share of the median. */
  spread(scenario: string, contestant: string): number {
    const rounds = this.#of(scenario, contestant);
    return (quantile(rounds, 0.75) - quantile(rounds, 0.25)) / 2 / median(rounds);
  }

  /**
   * How many times `one` is as large as `other`: the median of each round's ratio, so that what slows a machine for
   * some seconds slows both sides of it.
   */
  ratio(scenario: string, one: string, other: string, otherScenario = scenario): number {
    const below = this.#of(otherScenario, other);
    return median(this.#of(scenario, one).map((value, round) => value / (below[round] ?? Number.NaN)));
  }

  #of(scenario: string, contestant: string): number[] {
    const rounds = this.#rounds.get(keyOf(scenario, contestant));
    if (rounds === undefined) throw new Error(`Nothing was measured of ${contestant} in ${scenario}.`);
    return rounds;
  }
}

function keyOf(scenario: string, contestant: string): string {
  return JSON.stringify([scenario, contestant]);
}
