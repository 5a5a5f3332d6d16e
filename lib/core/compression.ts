import { gunzipSync, gzipSync } from 'node:zlib';
import type { SerializedValue } from './serializer.js';

/** When entries are compressed. */
export interface Compression {
  /** A payload of at least so many bytes is. */
  readonly overBytes: number;
}

/** A payload as it is stored. */
export interface PackedPayload {
  readonly payload: string | Uint8Array;
  readonly isZipped: boolean;
}

/** Fast, and nearly as small as more effort makes JSON. */
const LEVEL = 1;

/** A few kilobytes from a hostile store could unfold to terabytes. No backend holds an entry as large as this. */
const MOST_UNZIPPED_BYTES = 512 * 1024 * 1024;

/**
 * Compresses a payload that is long enough, if that makes it smaller.
 *
 * Synchronously, since two writes of one key must reach the store in the order they were made in; that takes about
 * a hundredth of a second for a megabyte.
 *
 * @param compression `undefined`: nothing is compressed
 */
export function pack({ payload }: SerializedValue, compression: Compression | undefined): PackedPayload {
  if (compression === undefined || byteLength(payload) < compression.overBytes) {
    return { payload, isZipped: false };
  }
  const zipped = gzipSync(payload, { level: LEVEL });
  return zipped.length < byteLength(payload)
    ? { payload: zipped, isZipped: true }
    : { payload, isZipped: false };
}

/** The payload as the serializer made it. @throws for what is not gzip, or unfolds to more than 512 MB */
export function unpack({ payload, isZipped }: { payload: Uint8Array; isZipped: boolean }): Uint8Array {
  return isZipped ? gunzipSync(payload, { maxOutputLength: MOST_UNZIPPED_BYTES }) : payload;
}

function byteLength(payload: string | Uint8Array): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.byteLength;
}
