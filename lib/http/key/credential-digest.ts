import { createHash, createHmac } from 'node:crypto';

const BEARER = /^bearer +\S+$/i;

/** Headers that name who a proxy has let through. They are no proof, so their digest gives nothing away to try. */
export const NAMING_HEADERS: readonly string[] = [
  'x-user-id',
  'x-tenant-id',
  'x-consumer-id',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-auth-request-user',
  'x-auth-request-email',
  'remote-user',
  'x-remote-user',
  'cf-access-authenticated-user-email',
  'x-amzn-oidc-identity',
  'x-goog-authenticated-user-id',
  'x-goog-authenticated-user-email',
  'x-ms-client-principal-id',
  'x-ms-client-principal-name',
];

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
 * empty or given several times, or there is no secret and it may hold a password. (That could be guessed from its plain
 * SHA-256; a bearer token can't.)
 *
 * @param name of the header, in lower case
 */
export function digestCredential(
  name: string,
  value: string | readonly string[] | undefined,
  secret: string | undefined,
): string | undefined {
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const needsSecret = !NAMING_HEADERS.includes(name) && !BEARER.test(value);
  if (needsSecret && secret === undefined) return undefined;
  return digest(value, secret);
}
