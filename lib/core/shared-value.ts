import type { DecodedEntry } from './entry.js';
import { JSON_CODEC } from './value.serializer.js';

/**
 * The one frozen copy of a value that all its readers share, for `isolate: false`. Of a value that can't be frozen
 * through and through each reader gets its own copy.
 */
export function shareFrozen(entry: DecodedEntry, by: object, decode: () => unknown): unknown {
  if (!isFreezable(entry.codec)) return decode();
  entry.sharedValue = freeze(decode());
  entry.sharedBy = by;
  return entry.sharedValue;
}

/** The value, frozen through and through where it is plain JSON: a miss answers what a hit will. */
export function freezeJson(codec: string, value: unknown): unknown {
  return isFreezable(codec) ? freeze(value) : value;
}

/** A Map or a Date can't be frozen, so only plain JSON is. */
function isFreezable(codec: string): boolean {
  return codec === JSON_CODEC;
}

function freeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const item of Object.values(value)) freeze(item);
  return Object.freeze(value);
}
