import { createHash } from 'node:crypto';

declare const entryKey: unique symbol;

/** A key as the backend gets it: one letter for what it names, a colon, and the caller's own key. */
export type EntryKey = string & { readonly [entryKey]: true };

/** A long HTTP key (a query may have thousands of characters) is kept as a readable beginning and a digest. */
const LONGEST_HTTP_KEY = 512;
const READABLE_HTTP_KEY = 160;

/** The key of a value that `CacheService` stores. */
export function valueKey(key: string): EntryKey {
  return `v:${key}` as EntryKey;
}

/** The key of a value in a namespace. The name has no colon, so no two pairs of name and key are the same. */
export function namespacedKey(namespace: string, key: string): EntryKey {
  return `n:${namespace}:${key}` as EntryKey;
}

/** The key of a lock. */
export function lockKey(key: string): EntryKey {
  return `l:${key}` as EntryKey;
}

/** The key of a lock in a namespace. */
export function namespacedLockKey(namespace: string, key: string): EntryKey {
  return `L:${namespace}:${key}` as EntryKey;
}

/** The key that a health check writes. */
export function probeKey(): EntryKey {
  return 'p:health' as EntryKey;
}

/** The key of the marker that stands for a tag. */
export function tagKey(tag: string): EntryKey {
  return `t:${tag}` as EntryKey;
}

/** The key of the marker that stands for a whole namespace. */
export function namespaceTagKey(namespace: string): EntryKey {
  return `m:${namespace}` as EntryKey;
}

/**
 * The key of an HTTP answer.
 *
 * @param parts JSON text that names everything the answer depends on. Since JSON of an array or object ends with
 *   a bracket, it is never mistaken for a digest.
 */
export function httpKey(parts: string): EntryKey {
  if (parts.length <= LONGEST_HTTP_KEY) return `h:${parts}` as EntryKey;
  const digest = createHash('sha256').update(parts, 'utf16le').digest('base64url');
  return `h:${parts.slice(0, READABLE_HTTP_KEY)}~${digest}` as EntryKey;
}

/**
 * The key of what a method answered to a call.
 *
 * @param method its class and its name
 * @param counting text that names all that the answer depends on. Arguments are often secrets, so only its digest
 *   stands in the key
 */
export function callKey(method: readonly string[], counting: string): EntryKey {
  const digest = createHash('sha256').update(counting, 'utf16le').digest('base64url');
  return `c:${JSON.stringify(method)}~${digest}` as EntryKey;
}

/**
 * What a person knows the key as: without the letter. Of an HTTP key only the route, since parameters and query may
 * hold what must not stand in a log; of a call only the method.
 */
export function readable(key: EntryKey): string {
  if (key.startsWith('c:')) return key.slice(2, key.lastIndexOf('~'));
  if (!key.startsWith('h:')) return key.slice(2);
  const endOfRoute = key.indexOf(',{');
  return endOfRoute < 0 ? key.slice(2) : `${key.slice(2, endOfRoute)}]`;
}
