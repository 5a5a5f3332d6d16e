import { createHash, randomBytes } from 'node:crypto';

/**
 * Every entry begins with the generation it was written in, and a blank. It counts only while the namespace's marker
 * on the same server holds just that generation, so `clear` is one write of a new one.
 */
const GENERATION_LENGTH = 22;
const LAYOUT_LENGTH = 6;
const BLANK = 0x20;

/**
 * The generations of one list of servers. One of another list is over: a key may have had its place elsewhere
 * meanwhile, where it was overwritten or deleted.
 */
export class Generations {
  readonly #layout: string;

  /** @param places all servers, in their order */
  constructor(places: readonly string[]) {
    this.#layout = places.length === 1 ? 'single' : digest(places.join('\n'));
  }

  /** A new one. At random, so that it was never used before, whatever the server has forgotten. */
  next(): string {
    return this.#layout + randomBytes(12).toString('base64url');
  }

  /** The generation in a marker. Undefined: it is none, or one of another list of servers. */
  read(marker: Buffer): string | undefined {
    const text = marker.toString('latin1');
    return text.length === GENERATION_LENGTH && text.startsWith(this.#layout) ? text : undefined;
  }
}

/** The bytes of an entry as they lie in memcached. */
export function frame(generation: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${generation} `, 'latin1'), bytes]);
}

/** The bytes of an entry of this generation. Undefined: it is of another one, or somebody else's. */
export function unframe(generation: string, value: Buffer): Buffer | undefined {
  const isOfIt =
    value[GENERATION_LENGTH] === BLANK && value.toString('latin1', 0, GENERATION_LENGTH) === generation;
  return isOfIt ? value.subarray(GENERATION_LENGTH + 1) : undefined;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, LAYOUT_LENGTH);
}
