/** Up to here memcached takes a number for seconds from now, and above it for a Unix time. */
const LONGEST_SPAN_S = 30 * 24 * 60 * 60;
/** The field has 32 bits: the year 2106. */
const LAST_TIME_S = 2 ** 32 - 1;
const NEVER = 0;

/**
 * A ttl as memcached takes it. Its clock ticks once a second, and an item of one second lives until the next tick:
 * so there is always a second more than the ttl rounded up.
 */
export function expirationOf(ttlMs: number): number {
  if (ttlMs === Infinity) return NEVER;
  const spanS = Math.ceil(ttlMs / 1_000) + 1;
  if (spanS <= LONGEST_SPAN_S) return spanS;
  const timeS = Math.ceil(Date.now() / 1_000) + spanS;
  return timeS <= LAST_TIME_S ? timeS : NEVER;
}
