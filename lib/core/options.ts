import type { Compression } from './compression.js';
import { CachekitConfigError } from './errors.js';
import type { CacheEventListener } from './events.js';
import { checkOptionNames } from './option-names.js';
import type { CacheSerializer } from './serializer.js';
import { toMilliseconds, type Ttl } from './ttl.js';
import { ValueSerializer } from './value.serializer.js';

/** What can be set for a whole cache. */
export interface CacheOptions {
  /** For `@Cached()` and `set` without a ttl. Default: 60 seconds. */
  readonly ttl?: Ttl;
  /** After this time a load is given up: its callers get a `LoadTimeoutError`. At most 24 hours. Default: 30 seconds. */
  readonly loadTimeout?: Ttl;
  /**
   * For how long after its ttl a value is answered at once, while it is loaded anew in the background.
   * Default: 0, which is never.
   */
  readonly staleWhileRevalidate?: Ttl;
  /**
   * For how long after its ttl a value is answered in place of an error of its load. The load is then not tried again
   * for a second, after more failures for up to 30. Default: 0, which is never.
   */
  readonly staleIfError?: Ttl;
  /**
   * By how much a ttl is shortened at random, so that what was stored at once does not end at once: from 0 to 1, where
   * 0.1 means by up to a tenth. Default: 0.
   */
  readonly jitter?: number;
  /**
   * Whether values are compressed (gzip): from so many bytes on; `true` means from 1,024 on. It takes about a
   * hundredth of a second for a megabyte. Entries are read whatever this says. Default: false.
   */
  readonly compress?: boolean | Compression;
  /** Turns values into bytes and back. Default: `ValueSerializer`. */
  readonly serializer?: CacheSerializer;
  /**
   * Whether every caller gets a copy of its own. With `false`, callers on an in-process backend share one deeply
   * frozen copy of values that are plain JSON, which saves the parsing; all others still get their own.
   * Default: true.
   */
  readonly isolate?: boolean;
  /** Is told of hits, misses, writes and failures. Default: nobody is. */
  readonly onEvent?: CacheEventListener;
}

/** The options with every default filled in and every length of time in milliseconds. */
export interface ResolvedCacheOptions {
  readonly ttlMs: number;
  readonly loadTimeoutMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** How long after its ttl an entry is kept, if the caller says nothing. */
  readonly staleMs: number;
  /** From 0 to 1. */
  readonly jitter: number;
  /** `undefined`: values are not compressed. */
  readonly compression: Compression | undefined;
  readonly serializer: CacheSerializer;
  readonly isolate: boolean;
  /** `undefined`: nobody listens. */
  readonly onEvent: CacheEventListener | undefined;
}

/** The names of all options of a cache. */
export const CACHE_OPTIONS = [
  'ttl',
  'loadTimeout',
  'staleWhileRevalidate',
  'staleIfError',
  'jitter',
  'compress',
  'serializer',
  'isolate',
  'onEvent',
] satisfies (keyof CacheOptions)[];

const DEFAULT_TTL = '60s';
const DEFAULT_LOAD_TIMEOUT = '30s';
/** Below about a kilobyte gzip saves next to nothing. */
const DEFAULT_COMPRESS_BYTES = 1_024;
/** A timer of Node takes at most 2^31 - 1 ms (24.8 days), and fires at once for more. */
const LONGEST_LOAD_MS = 86_400_000;

/**
 * Fills in the defaults.
 *
 * @param place where the options were given, for messages
 * @throws RangeError for a ttl or loadTimeout that is not a length of time
 * @throws CachekitConfigError for an option of the wrong kind
 */
export function resolveCacheOptions(options: CacheOptions, place: string): ResolvedCacheOptions {
  const staleWhileRevalidateMs = staleInMs(options, 'staleWhileRevalidate', place);
  const staleIfErrorMs = staleInMs(options, 'staleIfError', place);
  return {
    ttlMs: toMilliseconds(options.ttl ?? DEFAULT_TTL, place),
    loadTimeoutMs: loadTimeoutInMs(options.loadTimeout ?? DEFAULT_LOAD_TIMEOUT, place),
    staleWhileRevalidateMs,
    staleIfErrorMs,
    staleMs: Math.max(staleWhileRevalidateMs, staleIfErrorMs),
    jitter: checkJitter(options.jitter ?? 0, place),
    compression: checkCompress(options.compress ?? false, place),
    serializer: checkSerializer(options.serializer ?? new ValueSerializer(), place),
    isolate: checkKind(options.isolate ?? true, 'boolean', 'isolate', place),
    onEvent: options.onEvent && checkKind(options.onEvent, 'function', 'onEvent', place),
  };
}

/**
 * A load's timeout in milliseconds.
 *
 * @throws RangeError for what is not a length of time between 1 ms and 24 hours
 */
export function loadTimeoutInMs(loadTimeout: Ttl, place: string): number {
  const ms = toMilliseconds(loadTimeout, `${place}, loadTimeout`);
  if (ms >= 1 && ms <= LONGEST_LOAD_MS) return ms;
  throw new RangeError(
    `${place}: loadTimeout ${loadTimeout} is out of range. A load may take from 1 ms to 24 hours; the default is '30s'.`,
  );
}

/**
 * A stale window in milliseconds; absent means none.
 *
 * @throws RangeError for what is not a length of time
 */
export function staleInMs(
  options: Pick<CacheOptions, 'staleWhileRevalidate' | 'staleIfError'>,
  name: 'staleWhileRevalidate' | 'staleIfError',
  place: string,
): number {
  return toMilliseconds(options[name] ?? 0, `${place}, ${name}`);
}

function checkJitter(jitter: number, place: string): number {
  if (jitter >= 0 && jitter <= 1) return jitter;
  throw new RangeError(
    `${place}: jitter ${String(jitter)} is out of range. It is the share of a ttl by which it is shortened at random, ` +
      'from 0 to 1: 0.1 is up to a tenth.',
  );
}

function checkCompress(compress: boolean | Compression, place: string): Compression | undefined {
  if (compress === false) return undefined;
  if (compress === true) return { overBytes: DEFAULT_COMPRESS_BYTES };
  if (typeof compress === 'object' && compress !== null && compress.overBytes >= 0) {
    checkOptionNames(compress, ['overBytes'], `${place}, compress`);
    return { overBytes: compress.overBytes };
  }
  throw new CachekitConfigError(
    `${place}: the option compress must be true, false, or { overBytes }, a number of bytes such as 1024.`,
  );
}

function checkSerializer(serializer: CacheSerializer, place: string): CacheSerializer {
  if (typeof serializer?.serialize === 'function' && typeof serializer.deserialize === 'function')
    return serializer;
  throw new CachekitConfigError(
    `${place}: the option serializer needs the methods serialize and deserialize (interface CacheSerializer).`,
  );
}

/** @throws CachekitConfigError for an option of another kind */
export function checkKind<T>(value: T, kind: 'boolean' | 'function', name: string, place: string): T {
  if (typeof value === kind) return value;
  throw new CachekitConfigError(`${place}: the option ${name} must be a ${kind}, not ${typeof value}.`);
}
