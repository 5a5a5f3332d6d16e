/** The keys of a run: which entries are asked for, in which order. The same for every contestant. */
export interface KeySequence {
  /** How many entries are stored beforehand, under the ids 0, 1, 2, ... */
  readonly stored: number;
  /** The id that is asked for by the call with this number; one that is not stored is asked for once. */
  readonly idOf: (call: number) => number;
}

/** The share of calls that hit. 0.9: stored ids by a Zipf law, and every tenth call a new one. */
export const HIT_RATIOS = [1, 0.9, 0] as const;

export type HitRatio = (typeof HIT_RATIOS)[number];

/** A power of two, so that a sequence starts anew with a mask. */
const SEQUENCE_LENGTH = 16_384;

/** The next id that was never asked for: one counter for the process, so that no run finds what another stored. */
let newest = 1_000_000_000;

/** @param stored how many entries there are */
export function keySequence(hits: HitRatio, stored: number): KeySequence {
  const ids = Int32Array.from({ length: SEQUENCE_LENGTH }, (_, index) => index % stored);
  if (hits === 0.9) zipfInto(ids, stored);
  const idOf = (call: number): number => ids[call & (SEQUENCE_LENGTH - 1)] ?? 0;
  if (hits === 1) return { stored, idOf };
  if (hits === 0) return { stored: 0, idOf: () => newest++ };
  return { stored, idOf: (call) => (call % 10 === 9 ? newest++ : idOf(call)) };
}

/** Fills with ids of which the one of rank k comes up in proportion to 1/k: some are asked for nearly always. */
function zipfInto(ids: Int32Array, stored: number): void {
  const upTo = new Float64Array(stored);
  let sum = 0;
  for (let rank = 1; rank <= stored; rank++) upTo[rank - 1] = sum += 1 / rank;
  const random = randomNumbers(42);
  for (let index = 0; index < ids.length; index++) {
    const target = random() * sum;
    ids[index] = upTo.findIndex((value) => value >= target);
  }
}

/** The same numbers from 0 to 1 in every run: the generator of Park and Miller. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
