import type { IncomingHttpHeaders, OutgoingHttpHeader } from 'node:http';

/** What an answer says of its version. */
export interface Validators {
  readonly etag: OutgoingHttpHeader | undefined;
  readonly lastModified: OutgoingHttpHeader | undefined;
}

const ENTITY_TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;

/**
 * Whether the client has this very answer already (RFC 9110, section 13): `If-None-Match` names it, by weak comparison,
 * in a list, or by `*`; without that header, it was not modified since `If-Modified-Since`.
 */
export function isNotModified(request: IncomingHttpHeaders, { etag, lastModified }: Validators): boolean {
  const names = request['if-none-match'];
  if (names !== undefined) return names.trim() === '*' || hasTag(names, etag);
  const since = request['if-modified-since'];
  if (since === undefined || lastModified === undefined) return false;
  // NaN, for what is no date, is not less than anything.
  return Date.parse(String(lastModified)) <= Date.parse(since);
}

function hasTag(names: string, etag: OutgoingHttpHeader | undefined): boolean {
  if (etag === undefined) return false;
  const [own] = opaqueTags(String(etag));
  return own !== undefined && opaqueTags(names).includes(own);
}

/** The tags in a list, without the mark of weak ones: it does not count here. */
function opaqueTags(list: string): readonly string[] {
  return Array.from(list.matchAll(ENTITY_TAG), ([, tag = '']) => tag);
}
