import { randomBytes } from 'node:crypto';
import type { Stored } from '../cache-backend.js';

/**
 * A value in Redis is a version of this many characters, a blank, and the bytes. Of a value that somebody
 * else wrote, its first bytes count as the version, so that it can be replaced.
 */
export const VERSION_LENGTH = 21;

const BLANK = 0x20;

/** The largest string of Redis (proto-max-bulk-len), less what a version takes. */
export const MAX_VALUE_BYTES = 512 * 1024 * 1024 - VERSION_LENGTH - 1;

/** Gives versions that no process gives twice: 72 random bits and a count. */
export class Versions {
  readonly #instance = randomBytes(9).toString('base64url');
  #count = 0;

  next(): string {
    this.#count += 1;
    return this.#instance + this.#count.toString(36).padStart(9, '0');
  }
}

/** The bytes as they lie in Redis. */
export function frame({ version, bytes }: Stored): Buffer {
  return Buffer.concat([Buffer.from(`${version} `, 'latin1'), bytes]);
}

/** What lies in Redis as an entry. What somebody else wrote comes as it is. */
export function unframe(value: Buffer): Stored {
  const version = value.toString('latin1', 0, VERSION_LENGTH);
  const bytes = value[VERSION_LENGTH] === BLANK ? value.subarray(VERSION_LENGTH + 1) : value;
  return { bytes, version };
}
