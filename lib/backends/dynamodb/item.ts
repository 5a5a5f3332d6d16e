import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { createHash, randomUUID } from 'node:crypto';
import type { Stored } from '../cache-backend.js';
import { storableKey } from '../namespace.js';

/** The attributes of an entry. Names count in what an item weighs, so they are short. */
export const PARTITION = 'pk';
export const SORT = 'sk';
export const VERSION = 'version';
export const PAYLOAD = 'payload';
export const EXPIRY = 'expiresAt';

/** The largest item of DynamoDB, names and keys included. */
const MAX_ITEM_BYTES = 400 * 1024;
/** The longest sort key of DynamoDB. */
const MAX_SORT_BYTES = 1_024;
/** A number of 10 digits takes 6 bytes; this is on the safe side. */
const EXPIRY_BYTES = EXPIRY.length + 21;

/**
 * Each partition takes 1,000 writes a second, so a namespace has some of them. Another count would lose what is
 * stored under this one.
 */
const PARTITIONS = 16;

/** DynamoDB refuses an empty sort key. This is how a hashed key looks, so no other key has it. */
const EMPTY_KEY = `~${createHash('sha256').digest('base64url')}`;

/** An item as DynamoDB takes and gives it. */
export type Item = Record<string, AttributeValue>;

/** The name of an entry: the two parts of its primary key. */
export interface Name {
  readonly partition: string;
  readonly sort: string;
}

/** Where the entry of a key lies. */
export function nameOf(namespace: string, key: string): Name {
  const sort = key === '' ? EMPTY_KEY : storableKey(key, MAX_SORT_BYTES);
  // Any even spread would do; the first byte of a digest is one.
  const digest = createHash('sha256').update(sort).digest();
  return { partition: `${namespace}#${(digest[0] ?? 0) % PARTITIONS}`, sort };
}

/** All partitions of a namespace. No namespace has a `#` in it, so none begins like another. */
export function partitionsOf(namespace: string): string[] {
  return Array.from({ length: PARTITIONS }, (_, index) => `${namespace}#${index}`);
}

/** The primary key as DynamoDB takes it. */
export function toKey({ partition, sort }: Name): Item {
  return { [PARTITION]: { S: partition }, [SORT]: { S: sort } };
}

/** These bytes under a new version, which no process gives twice. */
export function newEntry(bytes: Uint8Array): Stored {
  return { bytes, version: randomUUID() };
}

/** The item that holds an entry, which DynamoDB may remove when `ttlMs` are over. */
export function toItem(name: Name, { bytes, version }: Stored, ttlMs: number): Item {
  const endSeconds = Math.ceil((Date.now() + ttlMs) / 1_000);
  return {
    ...toKey(name),
    [VERSION]: { S: version },
    [PAYLOAD]: { B: bytes },
    // What ends after all calendars does not end.
    ...(endSeconds <= Number.MAX_SAFE_INTEGER && { [EXPIRY]: { N: String(endSeconds) } }),
  };
}

/** The entry in an item. What somebody else wrote without a version counts as absent. */
export function toStored(item: Item | undefined): Stored | undefined {
  const version = item?.[VERSION]?.S;
  if (version === undefined) return undefined;
  return { bytes: item?.[PAYLOAD]?.B ?? new Uint8Array(), version };
}

/** How many bytes an entry of this name may have. */
export function maxPayloadBytes({ partition, sort }: Name, version: string): number {
  const keyBytes = PARTITION.length + SORT.length + Buffer.byteLength(partition) + Buffer.byteLength(sort);
  return MAX_ITEM_BYTES - keyBytes - VERSION.length - version.length - PAYLOAD.length - EXPIRY_BYTES;
}
