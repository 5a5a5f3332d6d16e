import type { Response } from 'memjs';
import type { Memjs } from './memcached.client.js';
import { refusedError } from './memcached.failure.js';

/** What is used of memcached's binary protocol. */
export const OPCODE = { get: 0x00, set: 0x01, add: 0x02, delete: 0x04, stat: 0x10 } as const;

/** How memcached answers where it does what it was asked to, or where it found that it can't. */
const STATUS = { ok: 0x00, notFound: 0x01, exists: 0x02, outOfMemory: 0x82 } as const;

const NO_CAS = '0000000000000000';

/** A request for one key. */
export interface Request {
  readonly opcode: number;
  readonly name: string;
  /** What to write, and when it ends, as memcached counts. Absent where nothing is written. */
  readonly item?: { readonly value: Buffer; readonly expiration: number };
  /** Write only over the item with this id, 16 hexadecimal digits. Absent: whatever is there. */
  readonly cas?: string;
}

/** What lies under a name on a server. */
export interface Item {
  readonly value: Buffer;
  /** Names this very write, for as long as the server process lives. */
  readonly cas: string;
}

/** The bytes of a request, as memjs makes them, which itself has no compare-and-swap. */
export function encode(
  makeRequestBuffer: Memjs['Utils']['makeRequestBuffer'],
  { opcode, name, item, cas }: Request,
  opaque: number,
): Buffer {
  const bytes = makeRequestBuffer(
    opcode,
    name,
    item ? extrasOf(item.expiration) : '',
    item?.value ?? '',
    opaque,
  );
  if (cas !== undefined) bytes.write(cas, 16, 'hex');
  return bytes;
}

/** The item in the answer to a get. Undefined: there is none. */
export function itemIn(answer: Response, place: string): Item | undefined {
  if (answer.header.status === STATUS.notFound) return undefined;
  if (answer.header.status !== STATUS.ok) throw refusal(answer, place);
  return { value: answer.val, cas: casIn(answer, place) };
}

/** The id of what was written by a set or an add. Undefined: its condition did not hold. */
export function writtenIn(answer: Response, place: string): string | undefined {
  const { status } = answer.header;
  if (status === STATUS.notFound || status === STATUS.exists) return undefined;
  if (status !== STATUS.ok) throw refusal(answer, place);
  return casIn(answer, place);
}

/** Checks the answer to a delete. */
export function checkDeleted(answer: Response, place: string): void {
  const { status } = answer.header;
  if (status !== STATUS.ok && status !== STATUS.notFound) throw refusal(answer, place);
}

/** Whether the server did what it was asked to. */
export function isOk(answer: Response): boolean {
  return answer.header.status === STATUS.ok;
}

function extrasOf(expiration: number): Buffer {
  const extras = Buffer.alloc(8);
  extras.writeUInt32BE(expiration, 4);
  return extras;
}

function casIn({ header }: Response, place: string): string {
  const cas = header.cas.toString('hex');
  if (cas !== NO_CAS) return cas;
  // A conditional write would overwrite whatever is there.
  throw refusedError(
    place,
    "it was started with -C, so it can't compare before it writes. Start it without -C.",
  );
}

function refusal({ header, val }: Response, place: string): Error {
  const hint =
    header.status === STATUS.outOfMemory
      ? '. It is full and, started with -M, evicts nothing. Start it without -M, or with more memory (-m).'
      : '';
  return refusedError(place, `${val.toString('latin1', 0, 200)} (status ${header.status})${hint}`);
}
