import { inspect } from 'node:util';
import { warnOnce } from './warn-once.js';

type Unit = 'ms' | 's' | 'm' | 'h' | 'd';

/**
 * A length of time. A number is seconds, fractions allowed; a string carries its unit: `'250ms'`, `'30s'`,
 * `'5m'`, `'1h'`, `'7d'`. `0` means "do not store", `Infinity` "never expires".
 */
export type Ttl = number | `${number}${Unit}`;

const MS_PER_UNIT: Readonly<Record<Unit, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** From here on a bare number looks like milliseconds: 30,000 s are more than eight hours. */
const SUSPICIOUS_SECONDS = 30_000;

/** Longer than this is for ever: servers count expiry in 32 or 64 bits, and nobody waits a century. */
const LONGEST_MS = 100 * 365 * MS_PER_UNIT.d;

/** Only plain decimal digits: `Number` would also take '0x10s', '1e3s' and ' 5s'. */
const WITH_UNIT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const WITHOUT_UNIT = /^\d+(?:\.\d+)?$/;

/**
 * Turns a ttl into milliseconds: 0, a whole number of at least 1, or `Infinity` (also for more than 100 years).
 * Warns once a place of a bare number of 30,000 or more, which looks like milliseconds.
 *
 * @param place where it was given, for the message: `'@Cached on CatsController.find'`
 * @throws RangeError naming the place, for anything that is not a ttl
 */
export function toMilliseconds(ttl: Ttl, place: string): number {
  const ms = typeof ttl === 'string' ? parse(ttl) : typeof ttl === 'number' ? ttl * 1_000 : Number.NaN;
  if (!(ms >= 0)) {
    throw new RangeError(
      `${place}: ttl ${describe(ttl)} is not a length of time. Use a number of seconds (0 does not store, ` +
        `Infinity never expires) or a string with a unit, such as '250ms', '30s', '5m', '1h' or '7d'.${unitHint(ttl)}`,
    );
  }
  if (typeof ttl === 'number' && ttl >= SUSPICIOUS_SECONDS && ms <= LONGEST_MS) {
    warnOnce(
      `ttl of ${place}`,
      `${place}: ttl ${ttl} is in seconds, which is ${formatDuration(ms)}. If you meant milliseconds, ` +
        `write '${ttl}ms'; if you meant seconds, write '${ttl}s' and this warning goes away.`,
    );
  }
  if (ms > LONGEST_MS) return Infinity;
  return Math.ceil(ms);
}

/** What was parsed already: an app has a few ttls, and asks for each of them at every hit. */
const parsed = new Map<string, number>();
/** An app that makes its ttls up must not fill the memory with them. */
const MOST_PARSED = 1_000;

function parse(text: string): number {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const match = WITH_UNIT.exec(text);
  if (!match) return Number.NaN;
  const ms = Number(match[1]) * MS_PER_UNIT[match[2] as Unit];
  if (parsed.size < MOST_PARSED) parsed.set(text, ms);
  return ms;
}

/** What to write for the text of a number, as environment variables bring it. */
function unitHint(ttl: unknown): string {
  if (typeof ttl !== 'string' || !WITHOUT_UNIT.test(ttl)) return '';
  return ` '${ttl}' has no unit: write '${ttl}s', or the number ${ttl}.`;
}

function describe(ttl: unknown): string {
  return typeof ttl === 'string' ? JSON.stringify(ttl) : inspect(ttl);
}

function formatDuration(ms: number): string {
  return ms >= MS_PER_UNIT.d
    ? `${(ms / MS_PER_UNIT.d).toFixed(1)} days`
    : `${(ms / MS_PER_UNIT.h).toFixed(1)} hours`;
}
