import { pack, unpack } from './compression.js';
import { type DecodedEntry, encodeEntry, type Entry, type NewHeader } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Usable } from './entry-reader.js';
import { excerpt, messageOf, UnserializableValueError } from './errors.js';
import type { CacheEventListener } from './events.js';
import type { ResolvedCacheOptions } from './options.js';
import {
  type CacheSerializer,
  serialize,
  type SerializedValue,
  type SharingSerializer,
} from './serializer.js';
import { freezeJson, shareFrozen } from './shared-value.js';
import { JSON_CODEC, parseJson, ValueSerializer } from './value.serializer.js';

/** Makes values of payloads and payloads of values, as the options of a cache say. */
export class EntryValues {
  /** Whether plain JSON is just parsed. Not known of a serializer that extends the default one: it may do more. */
  private readonly parsesJson: boolean;

  constructor(
    private readonly options: Pick<ResolvedCacheOptions, 'serializer' | 'isolate' | 'compression'>,
    private readonly report: CacheEventListener,
  ) {
    this.parsesJson = Object.getPrototypeOf(options.serializer) === ValueSerializer.prototype;
  }

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
  encode(
    value: SerializedValue,
    header: Pick<NewHeader, 'kind' | 'storedAtMs' | 'freshUntilMs' | 'tags'>,
  ): Uint8Array {
    const { payload, isZipped } = pack(value, this.options.compression);
    const { kind, storedAtMs, freshUntilMs, tags } = header;
    return encodeEntry({ kind, codec: value.codec, storedAtMs, freshUntilMs, tags, isZipped }, payload);
  }

  /** The value in an entry. @throws whatever the serializer throws for a payload that it can't read */
  decode(entry: Entry, serializer: CacheSerializer = this.options.serializer): unknown {
    return serializer.deserialize(entry.codec, unpack(entry));
  }

  /** The reader's copy of the value in a usable entry; nothing, with an event, if its payload can't be read. */
  read(
    key: EntryKey,
    { entry }: Usable,
    serializer?: SharingSerializer,
  ): { readonly value: unknown } | undefined {
    try {
      if (serializer !== undefined) return { value: entry.sharedValue ?? this.readOnce(entry, serializer) };
      if (this.options.isolate) return { value: this.decodeText(entry) };
      return { value: entry.sharedValue ?? shareFrozen(entry, () => this.decode(entry)) };
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

  /** An HTTP answer, say, whose head takes longer to read than all the rest of a hit. */
  private readOnce(entry: DecodedEntry, serializer: SharingSerializer): unknown {
    const value = this.decode(entry, serializer);
    if (serializer.keeps(value)) entry.sharedValue = value;
    return value;
  }

  /** As `decode`. Plain JSON is parsed from its text, which is there in memory, and saves a view on bytes elsewhere. */
  private decodeText(entry: DecodedEntry): unknown {
    if (!this.parsesJson || entry.codec !== JSON_CODEC || entry.isZipped) return this.decode(entry);
    return parseJson(entry.text);
  }
}
