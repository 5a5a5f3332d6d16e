import { isUtf8 } from 'node:buffer';
import type { Stored } from '../backends/cache-backend.js';
import { type DecodedEntry, decodeEntry } from './entry.js';
import { asBuffer } from './as-buffer.js';

/** Longer ones stay bytes: to parse them takes so much longer than to read them that nothing would be gained. */
const LONGEST_TEXT = 1_024;

/**
 * What a backend in this process keeps under a key: the same object at each read, until something else is written.
 *
 * A short one that is text is kept as a string: V8 takes about 300 bytes less for it than for a Buffer with memory of
 * its own, makes it faster, and a hit parses it as it is.
 */
export abstract class ResidentEntry implements Stored {
  abstract readonly version: string;
  /** Its bytes, or what they are as UTF-8 text. */
  readonly content: Uint8Array | string;
  /** What it says; `undefined`: nobody has read it yet. */
  private decoded: DecodedEntry | undefined = undefined;

  constructor(bytes: Uint8Array) {
    this.content = contentOf(bytes);
  }

  get bytes(): Uint8Array {
    const { content } = this;
    return typeof content === 'string' ? ownBytes(Buffer.from(content)) : content;
  }

  /** Saves reading the header at each hit: it is read at the first. @throws BrokenEntryError */
  decode(): DecodedEntry {
    const { content } = this;
    return (this.decoded ??= decodeEntry(
      typeof content === 'string' ? Buffer.from(content) : content,
      content,
    ));
  }
}

/** What stands for an entry that a backend in this process keeps, under another version: nothing of it is copied. */
export abstract class ResidentView implements Stored {
  constructor(
    readonly kept: Stored,
    readonly version: string,
  ) {}

  get bytes(): Uint8Array {
    return this.kept.bytes;
  }
}

/** Whether who reads the key next gets the same object, and what was found out about it. */
export function isResident(stored: Stored): boolean {
  return stored instanceof ResidentEntry || stored instanceof ResidentView;
}

/** What a backend answered, decoded. @throws BrokenEntryError for what is not an entry */
export function decodeStored(stored: Pick<Stored, 'bytes'>): DecodedEntry {
  if (stored instanceof ResidentEntry) return stored.decode();
  return stored instanceof ResidentView ? decodeStored(stored.kept) : decodeEntry(stored.bytes);
}

function contentOf(bytes: Uint8Array): Uint8Array | string {
  if (bytes.length > LONGEST_TEXT || !isUtf8(bytes)) return ownBytes(bytes);
  return asBuffer(bytes).toString();
}

/**
 * Small Buffers are slices of Node's 8 KiB pool: one that stays would keep its whole pool alive. So what is not
 * most of its memory is copied.
 */
function ownBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength <= bytes.byteLength * 2) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
