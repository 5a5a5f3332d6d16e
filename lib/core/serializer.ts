import { types } from 'node:util';
import { UnserializableValueError } from './errors.js';

/** A value as text or bytes, and the letter that says how to read it again. */
export interface SerializedValue {
  /** One ASCII letter that stands in the entry's header. `j` and `d` are the default serializer's. */
  readonly codec: string;
  readonly payload: string | Uint8Array;
}

/**
 * Turns values into bytes and back. Give your own as the option `serializer`, to store MessagePack for instance;
 * the default one is `ValueSerializer`.
 */
export interface CacheSerializer {
  /** @throws UnserializableValueError (or any error) for a value that would not come back as it was */
  serialize(value: unknown): SerializedValue;
  /**
   * The value of what `serialize` wrote, a new copy each time.
   *
   * @throws any error for bytes it can't read, or a codec it does not know; that is a miss
   */
  deserialize(codec: string, payload: Uint8Array): unknown;
}

/** A serializer of values that nobody changes, so that those who read one may share it. */
export interface SharingSerializer extends CacheSerializer {
  /** Whether a value that it read may be kept beside its entry, and handed to all who read that. */
  keeps(value: unknown): boolean;
}

/**
 * What a serializer makes of a value, checked: what no header can name would be written, and never read again.
 *
 * @throws UnserializableValueError, or what the serializer throws
 */
export function serialize(serializer: CacheSerializer, value: unknown): SerializedValue {
  const serialized = serializer.serialize(value);
  const { codec, payload } = serialized;
  if (/^[A-Za-z]$/.test(codec) && (typeof payload === 'string' || types.isUint8Array(payload)))
    return serialized;
  throw new UnserializableValueError(
    'The serializer of this cache must answer { codec, payload }: one letter, and a string or a Uint8Array.',
  );
}
