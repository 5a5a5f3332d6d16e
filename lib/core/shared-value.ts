import type { Stored } from '../backends/cache-backend.js';
import type { Entry } from './entry.js';

const shared = new WeakMap<Stored, unknown>();

/**
 * The one frozen copy of a value that all its readers share, for `isolate: false`. Only plain JSON can be frozen
 * through and through (a Map or a Date can't), so of every other value each reader gets its own copy.
 */
export function shareFrozen(stored: Stored, entry: Entry, decode: () => unknown): unknown {
  if (entry.codec !== 'j') return decode();
  const known = shared.get(stored);
  if (known !== undefined) return known;
  const value = freeze(decode());
  shared.set(stored, value);
  return value;
}

function freeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const item of Object.values(value)) freeze(item);
  return Object.freeze(value);
}
