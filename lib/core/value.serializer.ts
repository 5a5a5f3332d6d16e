import { parse, stringify } from 'devalue';
import { BrokenEntryError, messageOf, UnserializableValueError } from './errors.js';
import { errorFromParts, PortableError } from './portable-error.js';
import { isJson, toData } from './plain-data.js';
import type { CacheSerializer, SerializedValue } from './serializer.js';
import { asBuffer } from './as-buffer.js';

/** The letter of plain JSON. */
export const JSON_CODEC = 'j';
const DEVALUE_CODEC = 'd';

/** devalue takes an answer that is falsy for "not mine": so the text of an empty Buffer comes in an array. */
const REDUCERS = {
  Buffer: (value: unknown) => Buffer.isBuffer(value) && [value.toString('base64')],
  Error: (value: unknown) => value instanceof PortableError && value.parts,
};

const REVIVERS = {
  Buffer: ([base64]: unknown[]) => Buffer.from(textOf(base64), 'base64'),
  Error: errorFromParts,
};

/**
 * The default serializer. Plain JSON is stored as JSON, readable and sendable as it is; values with Date, Map, Set,
 * BigInt, Buffer, typed arrays, RegExp, URL, Error, `undefined`, NaN, infinities, -0, holes or cycles in the format
 * of the library devalue. Instances of classes are stored as their own plain properties, or as what their
 * `toJSON` answers; nothing that is read is ever executed or made an instance of an app's class.
 */
export class ValueSerializer implements CacheSerializer {
  serialize(value: unknown): SerializedValue {
    try {
      if (isJson(value)) return { codec: JSON_CODEC, payload: JSON.stringify(value) };
      const data = toData(value);
      if (data === undefined)
        throw new UnserializableValueError("This value can't be cached: its toJSON answers undefined.");
      if (isJson(data)) return { codec: JSON_CODEC, payload: JSON.stringify(data) };
      return { codec: DEVALUE_CODEC, payload: escapeLoneSurrogates(stringify(data, REDUCERS)) };
    } catch (cause) {
      if (cause instanceof UnserializableValueError) throw cause;
      throw new UnserializableValueError(`This value can't be cached: ${reasonOf(cause)}.`, { cause });
    }
  }

  deserialize(codec: string, payload: Uint8Array): unknown {
    if (codec === JSON_CODEC) return parseJson(utf8(payload));
    if (codec === DEVALUE_CODEC) return parseDevalue(utf8(payload));
    throw new BrokenEntryError(
      `The entry is in an encoding named "${codec}", which this serializer does not know.`,
    );
  }
}

/**
 * A getter or a toJSON may throw anything, RangeErrors too (of a Date that is none); where a value is nested deeper than
 * its stack, V8 throws one with this message.
 */
function reasonOf(cause: unknown): string {
  const message = messageOf(cause);
  return message === 'Maximum call stack size exceeded' ? 'it is nested too deeply' : message;
}

/** JSON.stringify escapes lone surrogates by itself (ECMA-262, well-formed JSON.stringify); devalue leaves them. */
function escapeLoneSurrogates(text: string): string {
  if (text.isWellFormed()) return text;
  return text.replace(
    /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (surrogate) => `\\u${surrogate.charCodeAt(0).toString(16)}`,
  );
}

/**
 * What plain JSON says.
 *
 * @throws BrokenEntryError for anything else, and for an own `__proto__`, which is harmless until somebody assigns it
 *   further: this package does not write one
 */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    // In JSON text the name may also hide behind escapes of its underscores (\\u005f).
    if (text.includes('__proto__') || text.includes('\\u005')) isJson(value);
    return value;
  } catch {
    throw brokenValue();
  }
}

function parseDevalue(text: string): unknown {
  try {
    return parse(text, REVIVERS);
  } catch (error) {
    throw error instanceof BrokenEntryError ? error : brokenValue();
  }
}

/** Without a cause: JSON.parse and devalue repeat what they could not read, which is part of a value. */
function brokenValue(): BrokenEntryError {
  return new BrokenEntryError('The value in this entry is damaged, or was not written by this package.');
}

/** Not anything else that `Buffer.from` takes: for an object with a length it would set that much memory aside. */
function textOf(base64: unknown): string {
  if (typeof base64 === 'string') return base64;
  throw new BrokenEntryError('A Buffer in this entry is not stored as text.');
}

function utf8(bytes: Uint8Array): string {
  if (Buffer.isBuffer(bytes)) return bytes.toString();
  return asBuffer(bytes).toString();
}
