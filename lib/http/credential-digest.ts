import { createHash, createHmac } from 'node:crypto';

const BEARER = /^bearer +\S+$/i;

/**
 * What stands in a key for a text that must not be read there.
 *
 * @param secret the key of the digest; `undefined`: a plain SHA-256
 */
export function digest(text: string, secret: string | undefined): string {
  const hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  return hash.update(text, 'utf16le').digest('base64url');
}

/**
 * What stands in a key for the value of a header that is a credential; `undefined` if it can't stand there: it is
 * empty or given several times, or there is no secret and it is not a bearer token. (A password could be guessed from
 * its plain SHA-256.)
 */
export function digestCredential(
  value: string | readonly string[] | undefined,
  secret: string | undefined,
): string | undefined {
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  if (secret === undefined && !BEARER.test(value)) return undefined;
  return digest(value, secret);
}
