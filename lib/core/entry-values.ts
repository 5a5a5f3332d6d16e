import { pack, unpack } from './compression.js';
import { type DecodedEntry, encodeEntry, type Entry, type NewHeader } from './entry.js';
import { type EntryKey, readable } from './entry-key.js';
import type { Usable } from './entry-reader.js';
import { excerpt, messageOf, UnserializableValueError } from './errors.js';
import type { CacheEventListener } from './events.js';
import type { ResolvedCacheOptions } from './options.js';
import { isResident } from './resident-entry.js';
import {
  type CacheSerializer,
  serialize,
  type SerializedValue,
  type SharingSerializer,
} from './serializer.js';
import { freezeJson, shareFrozen } from './shared-value.js';
import { JSON_CODEC, parseJson, ValueSerializer } from './value.serializer.js';

/** At most ten megabytes, with answers of four kilobytes. */
const MOST_KEPT = 1_000;

/** Makes values of payloads and payloads of values, as the options of a cache say. */
export class EntryValues {
  /** Whether plain JSON is just parsed. Not known of a serializer that extends the default one: it may do more. */
  private readonly parsesJson: boolean;
  /** Caches share what they read alike: those with the default serializer, or with the same one. */
  private readonly sharesAs: object;
  /** Whose values are kept for the next reader: a ring, in the order in which they were read. */
  private readonly kept: DecodedEntry[] = [];
  private oldestKept = 0;

  constructor(
    private readonly options: Pick<ResolvedCacheOptions, 'serializer' | 'isolate' | 'compression'>,
    private readonly report: CacheEventListener,
  ) {
    const { serializer } = options;
    this.parsesJson = serializer.deserialize === ValueSerializer.prototype.deserialize;
    this.sharesAs = this.parsesJson ? ValueSerializer : serializer;
  }

  /**
   * @param serializer of values of this kind; by default the cache's, here and below
   * @throws UnserializableValueError, or what the serializer throws
   */
  serialize(value: unknown, serializer: CacheSerializer = this.options.serializer): SerializedValue {
    return serialize(serializer, value);
  }

  /** As `serialize`, for somebody who is to read in the error which value it was. */
  serializeUnder(key: EntryKey, value: unknown): SerializedValue {
    try {
      return this.serialize(value);
    } catch (error) {
      throw namingKey(key, error);
    }
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
    usable: Usable,
    serializer?: SharingSerializer,
  ): { readonly value: unknown } | undefined {
    const { entry } = usable;
    try {
      if (serializer === undefined && this.options.isolate) return { value: this.decodeText(entry) };
      const shared = entry.sharedBy === (serializer ?? this.sharesAs) ? entry.sharedValue : undefined;
      if (shared !== undefined) return { value: shared };
      if (serializer !== undefined) return { value: this.readOnce(usable, serializer) };
      return { value: shareFrozen(entry, this.sharesAs, () => this.decode(entry)) };
    } catch (error) {
      this.report({ type: 'error', operation: 'decode', key: readable(key), error });
      return undefined;
    }
  }

  /** A copy of a value that was just serialized. @throws UnserializableValueError if it can't be read back */
  readBack(key: EntryKey, serialized: SerializedValue, serializer?: CacheSerializer): unknown {
    const { codec } = serialized;
    try {
      if (serializer !== undefined) return serializer.deserialize(codec, bytesOf(serialized));
      const value = this.readBackOwn(serialized);
      return this.options.isolate ? value : freezeJson(codec, value);
    } catch (cause) {
      throw new UnserializableValueError(
        `The value loaded for "${excerpt(readable(key))}" can't be read back: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** As `decodeText` does: plain JSON is there as text, which need not become bytes and text again. */
  private readBackOwn(serialized: SerializedValue): unknown {
    const { codec, payload } = serialized;
    if (this.parsesJson && codec === JSON_CODEC && typeof payload === 'string') return parseJson(payload);
    return this.options.serializer.deserialize(codec, bytesOf(serialized));
  }

  /**
   * An HTTP answer, say, whose head takes longer to read than all the rest of a hit. So many are kept as were read last:
   * one takes as much memory as its entry, which nothing else counts.
   */
  private readOnce({ entry, stored }: Usable, serializer: SharingSerializer): unknown {
    const value = this.decode(entry, serializer);
    // What comes from a server is decoded for this reader alone.
    if (!isResident(stored) || !serializer.keeps(value)) return value;
    const forgotten = this.kept[this.oldestKept];
    if (forgotten !== undefined) forgotten.sharedValue = undefined;
    entry.sharedValue = value;
    entry.sharedBy = serializer;
    this.kept[this.oldestKept] = entry;
    this.oldestKept = (this.oldestKept + 1) % MOST_KEPT;
    return value;
  }

  /** As `decode`. Plain JSON is parsed from its text, which is there in memory, and saves a view on bytes elsewhere. */
  private decodeText(entry: DecodedEntry): unknown {
    if (!this.parsesJson || entry.codec !== JSON_CODEC || entry.isZipped) return this.decode(entry);
    return parseJson(entry.text);
  }
}

/**
 * Of a value that can't be stored, its key is told too; any other error is answered as it is, also one of a class that
 * the app's serializer has made of this one.
 */
export function namingKey(key: EntryKey, error: unknown): unknown {
  if (!(error instanceof UnserializableValueError) || error.constructor !== UnserializableValueError)
    return error;
  return new UnserializableValueError(
    `${error.message} (Its key is "${excerpt(readable(key))}".)`,
    error.cause === undefined ? {} : { cause: error.cause },
  );
}

function bytesOf({ payload }: SerializedValue): Uint8Array {
  return typeof payload === 'string' ? Buffer.from(payload) : payload;
}
