/** How to write what has a meaning of its own in a url; the end of messages about one that can't be read. */
export const PERCENT_ENCODING =
  'special characters in user and password are percent-encoded (# is %23, / is %2F, @ is %40, % is %25)';

/** The url of a server; `undefined` for what is none, or has a user, password or path that nobody can decode. */
export function parseServerUrl(text: unknown): URL | undefined {
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return [url.username, url.password, url.pathname].every(canDecode) ? url : undefined;
}

/** Whether its percent signs are those of percent-encoding. */
export function canDecode(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
