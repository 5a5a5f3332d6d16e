import { createHash } from 'node:crypto';
import { checkName } from '../core/names.js';

/** The namespace of a backend that is given none. */
export const DEFAULT_NAMESPACE = 'cachekit';

/**
 * Checks the namespace of a backend and answers it.
 *
 * @param backend its class, for the message
 * @throws CachekitConfigError
 */
export function checkNamespace(namespace: string, backend: string): string {
  return checkName(namespace, `${backend}: the namespace`);
}

/** A hashed key ends like this; a plain key that does so is hashed too, so nobody can forge a hashed one. */
const HASHED = /~[A-Za-z0-9_-]{43}$/;

/** Printable ASCII without the `~` of a hashed key, one byte a character. */
const SIMPLE = /^[\x21-\x7d]*$/;

/** What is kept readable of a hashed key. */
const READABLE_PREFIX_CHARACTERS = 80;

/**
 * The key as a store with limits takes it: itself where it is well-formed UTF-16, free of control characters
 * and blanks, and at most `maxBytes` long in UTF-8; else a readable prefix, `~` and the SHA-256 of its UTF-16.
 * (Over UTF-16, since two different lone surrogates are the same U+FFFD in UTF-8.)
 *
 * @param maxBytes above 44, the length of `~` and the digest; below 124 the prefix is shorter than its 80 bytes
 */
export function storableKey(key: string, maxBytes: number): string {
  // Nearly every key, and this is on the way of every hit.
  if (key.length <= maxBytes && SIMPLE.test(key)) return key;
  if (isPlain(key) && Buffer.byteLength(key) <= maxBytes && !HASHED.test(key)) return key;
  const digest = createHash('sha256').update(key, 'utf16le').digest('base64url');
  const room = Math.min(READABLE_PREFIX_CHARACTERS, maxBytes - digest.length - 1);
  const readable = key.slice(0, room).replace(/[^\x21-\x7e]/g, '_');
  return `${readable}~${digest}`;
}

function isPlain(key: string): boolean {
  // Memcached refuses blanks and control characters; nowhere are they readable.
  return key.isWellFormed() && !/[\s\p{Cc}]/u.test(key);
}
