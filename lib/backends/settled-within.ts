import { withDeadline } from '../core/deadline.js';

/**
 * Resolves when `work` has settled, either way, or the time is over: true if it has settled. As `withDeadline` it does
 * not take a pause of this process for one of the work.
 */
export function settledWithin(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  const settled = work.then(
    () => true,
    () => true,
  );
  // What `settled` never does: so the time is over.
  return withDeadline(settled, limitMs, () => 'not settled').catch(() => false);
}
