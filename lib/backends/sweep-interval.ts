import { CachekitConfigError } from '../core/errors.js';
import { toMilliseconds, type Ttl } from '../core/ttl.js';

/**
 * The option `sweepInterval` of a backend, in milliseconds.
 *
 * @param backend its class, for the message
 * @throws CachekitConfigError for what is not a length of time above zero
 */
export function checkSweepInterval(interval: Ttl, backend: string): number {
  try {
    const ms = toMilliseconds(interval, `${backend}: sweepInterval`);
    if (ms > 0) return ms;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new CachekitConfigError(
    `${backend}: \`sweepInterval\` takes a length of time above zero: a number of seconds, a string with a unit such ` +
      "as '5m', or Infinity for never.",
  );
}
