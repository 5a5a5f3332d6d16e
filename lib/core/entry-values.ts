import { pack, unpack } from './compression.js';
import { encodeEntry, type Entry, type NewHeader } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Usable } from './entry-reader.js';
import { excerpt, messageOf, UnserializableValueError } from './errors.js';
import type { CacheEventListener } from './events.js';
import type { ResolvedCacheOptions } from './options.js';
import { type CacheSerializer, serialize, type SerializedValue } from './serializer.js';
import { freezeJson, shareFrozen } from './shared-value.js';

/** Makes values of payloads and payloads of values, as the options of a cache say. */
export class EntryValues {
  constructor(
    private readonly options: Pick<ResolvedCacheOptions, 'serializer' | 'isolate' | 'compression'>,
    private readonly report: CacheEventListener,
  ) {}

  /**
   * @param serializer of values of this kind; by default the cache's, here and below
   * @throws UnserializableValueError, or what the serializer throws
   */
  serialize(value: unknown, serializer: CacheSerializer = this.options.serializer): SerializedValue {
    return serialize(serializer, value);
  }

  /**
   * Writes an entry that holds a value, compressed if it is long enough.
   *
   * @param header all that the value itself does not say
   */
  encode(value: SerializedValue, header: Omit<NewHeader, 'codec' | 'isZipped'>): Uint8Array {
    const { payload, isZipped } = pack(value, this.options.compression);
    return encodeEntry({ ...header, codec: value.codec, isZipped }, payload);
  }

  /** The value in an entry. @throws whatever the serializer throws for a payload that it can't read */
  decode(entry: Entry, serializer: CacheSerializer = this.options.serializer): unknown {
    return serializer.deserialize(entry.codec, unpack(entry));
  }

  /** The reader's copy of the value in a usable entry; nothing, with an event, if its payload can't be read. */
  read(
    key: EntryKey,
    { entry, stored }: Usable,
    serializer?: CacheSerializer,
  ): { readonly value: unknown } | undefined {
    try {
      if (serializer !== undefined) return { value: this.decode(entry, serializer) };
      if (this.options.isolate) return { value: this.decode(entry) };
      return { value: shareFrozen(stored, entry, () => this.decode(entry)) };
    } catch (error) {
      this.report({ type: 'error', operation: 'decode', key: readable(key), error });
      return undefined;
    }
  }

  /** A copy of a value that was just serialized. @throws UnserializableValueError if it can't be read back */
  readBack(key: EntryKey, { codec, payload }: SerializedValue, serializer?: CacheSerializer): unknown {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    try {
      if (serializer !== undefined) return serializer.deserialize(codec, bytes);
      const value = this.options.serializer.deserialize(codec, bytes);
      return this.options.isolate ? value : freezeJson(codec, value);
    } catch (cause) {
      throw new UnserializableValueError(
        `The value loaded for "${excerpt(readable(key))}" can't be read back: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}
