import { storableKey } from '../namespace.js';

/** Firestore takes 1,500 bytes; a longer id is no use to anybody who looks into the store. */
const MAX_ID_BYTES = 1_024;

/** What Firestore keeps for itself, or takes for a path: `.`, `..`, `__anything__`. */
const RESERVED = /^(?:\.|\.\.|__.*__)$/s;

/**
 * The id of the document that holds the entry of `key`: the key itself where Firestore takes it, with `%2F` for
 * `/` and `%25` for `%`; a reserved one begins with the code of its first character, the empty one is `%`. What
 * is too long or holds blanks and the like is hashed behind its beginning. Two keys never have one id.
 */
export function documentId(key: string): string {
  // A `%` that is not of ours is always followed by 25, so what is made here can't be a key of its own.
  const escaped = key.replace(/[%/]/g, escapeCharacter);
  if (escaped === '') return '%';
  return storableKey(withoutReserved(escaped), MAX_ID_BYTES);
}

/** The id of the document below which the entries of a namespace lie. */
export function namespaceId(namespace: string): string {
  return withoutReserved(namespace);
}

/** Whether a collection may have this name, as far as reserved names go. */
export function isReserved(id: string): boolean {
  return RESERVED.test(id);
}

function withoutReserved(id: string): string {
  return isReserved(id) ? escapeCharacter(id.charAt(0)) + id.slice(1) : id;
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
