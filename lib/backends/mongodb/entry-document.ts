import { randomBytes } from 'node:crypto';
import type { Stored } from '../cache-backend.js';
import { storableKey } from '../namespace.js';

/** An entry as it lies in MongoDB. */
export interface EntryDocument {
  /** Namespace, `:`, and the key. */
  readonly _id: string;
  /** Names this very write. */
  readonly version: string;
  readonly bytes: Uint8Array;
  /** When MongoDB may remove it; absent means never. */
  readonly expiresAt?: Date;
}

/** What somebody may have written under such an `_id`. */
export type AnyDocument = { readonly _id: string } & {
  readonly [K in keyof Omit<EntryDocument, '_id'>]?: unknown;
};

/** An index entry of MongoDB 4.0 and older takes 1,024 bytes, the namespace (65 at most) among them. */
const MAX_KEY_BYTES = 900;

/** A document of MongoDB takes 16 MiB, with the names and values of all fields. The others need less than 2 KiB. */
export const MAX_ENTRY_BYTES = 16 * 1024 * 1024 - 2 * 1024;

/** 96 random bits: no process gives a version twice. */
const VERSION_BYTES = 12;

/** The version of what somebody else wrote, who gave it none. */
export const NO_VERSION = '';

/** The last moment that a Date can hold, in the year 275760. */
const LAST_MOMENT_MS = 8.64e15;

/** The `_id` of the entry under a key. */
export function idOf(namespace: string, key: string): string {
  return `${namespace}:${storableKey(key, MAX_KEY_BYTES)}`;
}

/**
 * Finds all entries of a namespace and no others, by a range of the index that every collection has. No namespace
 * holds a `:`, and `;` is the character after it.
 */
export function allOf(namespace: string): { readonly $gte: string; readonly $lt: string } {
  return { $gte: `${namespace}:`, $lt: `${namespace};` };
}

/** The version of a new write. */
export function newVersion(): string {
  return randomBytes(VERSION_BYTES).toString('base64url');
}

/** A document for these bytes, without its `_id`. */
export function toDocument({ version, bytes }: Stored, ttlMs: number): Omit<EntryDocument, '_id'> {
  const expiresAtMs = Math.ceil(Date.now() + ttlMs);
  // A Date and no number: the index that lets MongoDB remove documents passes over everything else.
  if (expiresAtMs <= LAST_MOMENT_MS) return { version, bytes, expiresAt: new Date(expiresAtMs) };
  return { version, bytes };
}

/** A document as an entry. One of somebody else has no bytes, which is a miss, and can be replaced. */
export function toStored({ version, bytes }: AnyDocument): Stored {
  return {
    bytes: bytes instanceof Uint8Array ? bytes : new Uint8Array(),
    version: typeof version === 'string' ? version : NO_VERSION,
  };
}

/** The document that a reader saw, if it is unchanged. */
export function seenFilter(id: string, seen: string): object {
  // `$gt` finds strings only: whatever is no string, or absent, is what `toStored` gave no version.
  return { _id: id, version: seen === NO_VERSION ? { $not: { $gt: NO_VERSION } } : seen };
}
