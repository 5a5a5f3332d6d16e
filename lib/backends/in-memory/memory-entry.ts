import { ResidentEntry } from '../../core/resident-entry.js';
import type { Expiring } from './expiry-queue.js';
import type { Used } from './use-order.js';

/**
 * What an entry costs beside its content and its key once it was read, in bytes: this object, what it says decoded, its
 * share of the map, and the heads of two strings. Measured with `npm run bench -- scale`.
 */
const BOOKKEEPING_BYTES = 350;

/** What a Buffer with memory of its own costs beside that memory: its two objects, and what Node allocates for them. */
const BUFFER_BYTES = 250;

/** V8 keeps a string with one byte a character, or two if it has any character beyond Latin-1: counted as two. */
const BYTES_PER_CHARACTER = 2;

/** One write of a key, with its places in the order of use and in the queue of what expires. */
export class MemoryEntry extends ResidentEntry implements Used, Expiring {
  older: Used | undefined = undefined;
  newer: Used | undefined = undefined;
  previous: Expiring | undefined = undefined;
  next: Expiring | undefined = undefined;
  expiresAtSecond = 0;
  /** What it takes in memory, key and bookkeeping included. */
  readonly sizeInBytes: number;

  /** @param write a number that no other write of this backend has */
  constructor(
    readonly key: string,
    bytes: Uint8Array,
    private readonly write: number,
  ) {
    super(bytes);
    this.sizeInBytes =
      contentBytes(this.content, bytes) + key.length * BYTES_PER_CHARACTER + BOOKKEEPING_BYTES;
  }

  /** Made when it is asked for, which only a write does: a string for each entry would cost more than its number. */
  get version(): string {
    return String(this.write);
  }
}

/** @param given what the content was made from */
function contentBytes(content: Uint8Array | string, given: Uint8Array): number {
  // All of the memory that it keeps, of which it may be a part.
  if (typeof content !== 'string') return content.buffer.byteLength + BUFFER_BYTES;
  // As many characters as bytes: all of them are ASCII.
  return content.length === given.length ? content.length : content.length * BYTES_PER_CHARACTER;
}
