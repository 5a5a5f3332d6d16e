import { BrokenEntryError } from './errors.js';
import { asBuffer } from './as-buffer.js';

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
const SPACE = 0x20;
/** Milliseconds since 1970 have 13 until the year 2286. */
const MOST_DIGITS = 16;
const LETTERS: Readonly<Record<EntryKind, string>> = { value: 'v', http: 'h', lease: 'l', tag: 't' };
const KINDS: Readonly<Record<string, EntryKind>> = { v: 'value', h: 'http', l: 'lease', t: 'tag' };
const HEADER = /^ck1 ([vhlt])([A-Za-z-])(z?) (\d{1,16}) (\d{1,16}|never)(?: r(\d{1,16}))?(?: (\[[ -~]*\]))?$/;
const KIND_OF_BYTE: Readonly<Record<number, EntryKind>> = {
  0x76: 'value',
  0x68: 'http',
  0x6c: 'lease',
  0x74: 'tag',
};
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
 * @param content the same bytes, or what they are as UTF-8 text: the payload is cut out of it
 * @throws BrokenEntryError for anything else
 */
export function decodeEntry(bytes: Uint8Array, content: Uint8Array | string = bytes): DecodedEntry {
  return scanPlainHeader(bytes, content) ?? parseHeader(bytes, content);
}

/** A decoded entry, whose payload is cut out when somebody asks for it. */
export class DecodedEntry implements Entry {
  /** The one copy of its value that all its readers share; `undefined`: they don't, or not yet. See `EntryValues`. */
  sharedValue: unknown = undefined;
  /** What read that copy: another cache on the same backend may have another serializer. */
  sharedBy: object | undefined = undefined;

  constructor(
    readonly kind: EntryKind,
    readonly codec: string,
    readonly isZipped: boolean,
    readonly storedAtMs: number,
    readonly freshUntilMs: number,
    readonly refreshUntilMs: number,
    readonly tags: readonly TagVersion[],
    private readonly content: Uint8Array | string,
    private readonly payloadStart: number,
  ) {}

  get payload(): Uint8Array {
    const { content, payloadStart } = this;
    // The header is ASCII: it has as many characters as bytes.
    return typeof content === 'string'
      ? Buffer.from(content.slice(payloadStart))
      : content.subarray(payloadStart);
  }

  /** The payload as UTF-8 text. Saves the view on the bytes, which costs as much as the text. */
  get text(): string {
    const { content, payloadStart } = this;
    return typeof content === 'string'
      ? content.slice(payloadStart)
      : asBuffer(content).toString('utf8', payloadStart);
  }
}

/**
 * Reads the header of nearly every entry, one without tags that is not being refreshed, right from its bytes: no text
 * is made of it, and no expression matched, which takes most of the time of a hit in memory. Answers `undefined` for
 * any other, for `parseHeader` to judge.
 */
function scanPlainHeader(bytes: Uint8Array, content: Uint8Array | string): DecodedEntry | undefined {
  if (bytes[0] !== 0x63 || bytes[1] !== 0x6b || bytes[2] !== 0x31 || bytes[3] !== SPACE) return undefined;
  const kind = KIND_OF_BYTE[bytes[4] ?? 0];
  const codec = bytes[5] ?? 0;
  if (kind === undefined || !isCodecByte(codec)) return undefined;
  const isZipped = bytes[6] === 0x7a;
  const storedFrom = isZipped ? 8 : 7;
  if (bytes[storedFrom - 1] !== SPACE) return undefined;
  const storedTo = endOfDigits(bytes, storedFrom);
  if (bytes[storedTo] !== SPACE) return undefined;
  const freshTo = endOfDigits(bytes, storedTo + 1);
  if (bytes[freshTo] !== NEWLINE) return undefined;
  const storedAtMs = numberIn(bytes, storedFrom, storedTo);
  const freshUntilMs = numberIn(bytes, storedTo + 1, freshTo);
  if (storedAtMs === undefined || freshUntilMs === undefined) return undefined;
  const letter = String.fromCharCode(codec);
  return new DecodedEntry(kind, letter, isZipped, storedAtMs, freshUntilMs, 0, NO_TAGS, content, freshTo + 1);
}

function isCodecByte(byte: number): boolean {
  // A letter of either case, or the `-` of an entry without payload.
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d;
}

function endOfDigits(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = bytes[at]) at++;
  return at;
}

function numberIn(bytes: Uint8Array, from: number, to: number): number | undefined {
  if (to === from || to - from > MOST_DIGITS) return undefined;
  let number = 0;
  for (let at = from; at < to; at++) number = number * 10 + ((bytes[at] ?? 0) - 0x30);
  return number;
}

/** Reads any header. @throws BrokenEntryError */
function parseHeader(bytes: Uint8Array, content: Uint8Array | string): DecodedEntry {
  const end = bytes.indexOf(NEWLINE);
  const match = end < 0 ? null : HEADER.exec(asBuffer(bytes).toString('latin1', 0, end));
  if (!match) throw new BrokenEntryError('These bytes do not begin with the header of an entry.');
  const [, letter = '', codec = '', zipped, storedAt, freshUntil, refreshUntil = 0, tags] = match;
  return new DecodedEntry(
    KINDS[letter] as EntryKind,
    codec,
    zipped === 'z',
    Number(storedAt),
    freshUntil === 'never' ? Infinity : Number(freshUntil),
    Number(refreshUntil),
    tags === undefined ? NO_TAGS : parseTags(tags),
    content,
    end + 1,
  );
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
