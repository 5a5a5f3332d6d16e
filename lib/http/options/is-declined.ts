import { warnOfHandler } from '../handlers/warn-of-handler.js';
import type { ResolvedCachedOptions } from './cached-options.js';
import { syncAnswer } from './sync-answer.js';

/** Whether the option `unless` keeps an answer out of the cache; so does one that fails, with a warning. */
export function isDeclined(value: unknown, { unless, place }: ResolvedCachedOptions): boolean {
  try {
    const declined: unknown = syncAnswer(unless?.(value) ?? false, 'unless');
    if (typeof declined === 'boolean') return declined;
    warnOfHandler(place, 'not stored, since unless did not answer true or false');
  } catch (error) {
    warnOfHandler(place, 'not stored, since unless threw', error);
  }
  return true;
}
