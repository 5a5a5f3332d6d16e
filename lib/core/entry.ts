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
  /** Whether the payload is compressed (gzip). */
  readonly isZipped: boolean;
  /** Until then one process refreshes it while others serve it stale, in milliseconds since 1970; 0: nobody does. */
  readonly refreshUntilMs: number;
}

/** What is said of an entry that is written. Default: not compressed, refreshed by nobody. */
export type NewHeader = Omit<EntryHeader, 'isZipped' | 'refreshUntilMs'> &
  Partial<Pick<EntryHeader, 'isZipped' | 'refreshUntilMs'>>;

/** A decoded entry. */
export interface Entry extends EntryHeader {
  readonly payload: Uint8Array;
}

const MAGIC = 'ck1';
const NEWLINE = 0x0a;
const LETTERS: Readonly<Record<EntryKind, string>> = { value: 'v', http: 'h', lease: 'l', tag: 't' };
const KINDS: Readonly<Record<string, EntryKind>> = { v: 'value', h: 'http', l: 'lease', t: 'tag' };
const HEADER = /^ck1 ([vhlt])([A-Za-z-])(z?) (\d{1,16}) (\d{1,16}|never)(?: r(\d{1,16}))?(?: (\[.*\]))?$/;
const NO_TAGS: readonly TagVersion[] = [];

/**
 * Writes an entry: one ASCII line, then the payload, so that a person reads it in the store's own shell:
 * `ck1 vj 1767225600000 1767225660000 [["t:user:1","Xb3..."]]`
 */
export function encodeEntry(header: NewHeader, payload: string | Uint8Array): Uint8Array {
  const line = headerLine(header);
  if (typeof payload === 'string') return Buffer.from(line + payload);
  return Buffer.concat([Buffer.from(line), payload]);
}

function headerLine(header: NewHeader): string {
  const { kind, codec, storedAtMs, freshUntilMs, tags, isZipped = false, refreshUntilMs = 0 } = header;
  const encoding = `${LETTERS[kind]}${codec}${isZipped ? 'z' : ''}`;
  const until = freshUntilMs === Infinity ? 'never' : String(Math.ceil(freshUntilMs));
  const refresh = refreshUntilMs === 0 ? '' : ` r${Math.ceil(refreshUntilMs)}`;
  const suffix = tags.length === 0 ? '' : ` ${asciiJson(tags)}`;
  return `${MAGIC} ${encoding} ${Math.floor(storedAtMs)} ${until}${refresh}${suffix}\n`;
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
  const [, letter = '', codec = '', zipped, storedAt, freshUntil, refreshUntil = 0, tags] = match;
  return {
    kind: KINDS[letter] as EntryKind,
    codec,
    storedAtMs: Number(storedAt),
    freshUntilMs: freshUntil === 'never' ? Infinity : Number(freshUntil),
    tags: tags === undefined ? NO_TAGS : parseTags(tags),
    isZipped: zipped === 'z',
    refreshUntilMs: Number(refreshUntil),
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
