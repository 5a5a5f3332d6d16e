/**
 * How much longer than its ttl the store keeps an entry: the time for which somebody may answer it stale, and then the
 * time that a load takes which began at the end of it. Such a load writes over the stale entry, which must be there
 * still. Whether an entry is usable is judged by who reads it.
 *
 * @param staleMs for how long after its ttl it may be answered; `0`: never
 */
export function lifeAfterTtlMs(staleMs: number, loadTimeoutMs: number): number {
  return staleMs === 0 ? 0 : staleMs + loadTimeoutMs;
}
