import { distance } from 'fastest-levenshtein';

/** Without accents, case and punctuation: `São-Paulo` and `sao paulo` are the same. */
export function fold(name: string): string {
  return name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/** What people may call a place: its whole name, or one word of it. All folded. */
export function spellingsOf(name: string): readonly string[] {
  const whole = fold(name);
  const words = whole.split(' ');
  return words.length === 1 ? words : [whole, ...words];
}

/** How many letters to change, insert or leave out, from the wanted name to the nearest spelling. Both folded. */
export function countTypos(wanted: string, spellings: readonly string[]): number {
  let fewest = Infinity;
  for (const spelling of spellings) fewest = Math.min(fewest, distance(wanted, spelling));
  return fewest;
}
