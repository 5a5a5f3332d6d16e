import { createHash } from 'node:crypto';

/**
 * The longest name, in characters. In a message JSON takes at most six bytes for each, which leaves room for the rest
 * of the 4,000.
 */
const LONGEST_NAME = 600;
const DIGEST_LENGTH = 43;

/**
 * What an entry is called in the near tier and in messages: its key, or for a long one its beginning, `~` and the
 * SHA-256 of its UTF-16. Only the latter is longer than LONGEST_NAME, so two keys never have the same name.
 */
export function nearName(key: string): string {
  if (key.length <= LONGEST_NAME) return key;
  const digest = createHash('sha256').update(key, 'utf16le').digest('base64url');
  return `${key.slice(0, LONGEST_NAME - DIGEST_LENGTH)}~${digest}`;
}
