import type { OutgoingHttpHeader } from 'node:http';

/** The items of a comma-separated header, in lower case; none of one that is absent. */
export function headerList(header: OutgoingHttpHeader | undefined): readonly string[] {
  if (header === undefined) return [];
  return String(header)
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== '');
}
