import { BrokenEntryError } from './errors.js';

/** What an entry holds: a value, an HTTP answer, a load's claim on the key, or a tag's present version. */
export type EntryKind = 'value' | 'http' | 'lease' | 'tag';

/** A tag's marker key and the version it had before the load of the entry began. */
export type TagVersion = readonly [marker: string, version: string];

/** What the header of an entry says. */
export interface EntryHeader {
  readonly kind: EntryKind;
  /** The letter of the encoding that the payload is in; `-` where there is no payload. */
  readonly codec: string;
  /** When its load began, in milliseconds since 1970. */
  readonly storedAtMs: number;
  /** When it stops being fresh, in milliseconds since 1970; `Infinity` for never. */
  readonly freshUntilMs: number;
  readonly tags: readonly TagVersion[];
}

/** A decoded entry. */
export interface Entry extends EntryHeader {
  readonly payload: Uint8Array;
}

const MAGIC = 'ck1';
const NEWLINE = 0x0a;
const LETTERS: Readonly<Record<EntryKind, string>> = { value: 'v', http: 'h', lease: 'l', tag: 't' };
const KINDS: Readonly<Record<string, EntryKind>> = { v: 'value', h: 'http', l: 'lease', t: 'tag' };
const HEADER = /^ck1 ([vhlt])([A-Za-z-]) (\d{1,16}) (\d{1,16}|never)(?: (\[.*\]))?$/;
const NO_TAGS: readonly TagVersion[] = [];

/**
 * Writes an entry: one ASCII line, then the payload, so that a person reads it in the store's own shell:
 * `ck1 vj 1767225600000 1767225660000 [["t:user:1","Xb3..."]]`
 */
export function encodeEntry(header: EntryHeader, payload: string | Uint8Array): Uint8Array {
  const line = headerLine(header);
  if (typeof payload === 'string') return Buffer.from(line + payload);
  return Buffer.concat([Buffer.from(line), payload]);
}

/**
 * Writes an entry that holds a value, as a serializer made it.
 *
 * @param header all that the value itself does not say
 */
export function encodeValue(
  { codec, payload }: { readonly codec: string; readonly payload: string | Uint8Array },
  header: Omit<EntryHeader, 'codec'>,
): Uint8Array {
  return encodeEntry({ ...header, codec }, payload);
}

function headerLine({ kind, codec, storedAtMs, freshUntilMs, tags }: EntryHeader): string {
  const until = freshUntilMs === Infinity ? 'never' : String(Math.ceil(freshUntilMs));
  const suffix = tags.length === 0 ? '' : ` ${asciiJson(tags)}`;
  return `${MAGIC} ${LETTERS[kind]}${codec} ${Math.floor(storedAtMs)} ${until}${suffix}\n`;
}

/** JSON with every character beyond ASCII escaped, lone surrogates included, so that UTF-8 can't change it. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Reads what `encodeEntry` wrote.
 *
 * @throws BrokenEntryError for anything else
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  const end = bytes.indexOf(NEWLINE);
  const match = end < 0 ? null : HEADER.exec(latin1(bytes.subarray(0, end)));
  if (!match) throw new BrokenEntryError('These bytes do not begin with the header of an entry.');
  const [, letter = '', codec = '', storedAt, freshUntil, tags] = match;
  return {
    kind: KINDS[letter] as EntryKind,
    codec,
    storedAtMs: Number(storedAt),
    freshUntilMs: freshUntil === 'never' ? Infinity : Number(freshUntil),
    tags: tags === undefined ? NO_TAGS : parseTags(tags),
    payload: bytes.subarray(end + 1),
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function parseTags(json: string): readonly TagVersion[] {
  let tags: unknown;
  try {
    tags = JSON.parse(json);
  } catch (cause) {
    throw new BrokenEntryError('The tags in the header of this entry are not JSON.', { cause });
  }
  if (Array.isArray(tags) && tags.every(isTagVersion)) return tags;
  throw new BrokenEntryError('The tags in the header of this entry are not pairs of strings.');
}

function isTagVersion(pair: unknown): pair is TagVersion {
  return (
    Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && typeof pair[1] === 'string'
  );
}
