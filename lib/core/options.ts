import { CachekitConfigError } from './errors.js';
import type { CacheEventListener } from './events.js';
import type { CacheSerializer } from './serializer.js';
import { toMilliseconds, type Ttl } from './ttl.js';
import { ValueSerializer } from './value.serializer.js';

/** What can be set for a whole cache. */
export interface CacheOptions {
  /** For `@Cached()` and `set` without a ttl. Default: 60 seconds. */
  readonly ttl?: Ttl;
  /** After this time a load is given up: its callers get a `LoadTimeoutError`. At most 24 hours. Default: 30 seconds. */
  readonly loadTimeout?: Ttl;
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
  readonly serializer: CacheSerializer;
  readonly isolate: boolean;
  readonly onEvent: CacheEventListener;
}

/** The names of all options of a cache. */
export const CACHE_OPTIONS = [
  'ttl',
  'loadTimeout',
  'serializer',
  'isolate',
  'onEvent',
] satisfies (keyof CacheOptions)[];

const DEFAULT_TTL = '60s';
const DEFAULT_LOAD_TIMEOUT = '30s';
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
  return {
    ttlMs: toMilliseconds(options.ttl ?? DEFAULT_TTL, place),
    loadTimeoutMs: loadTimeoutInMs(options.loadTimeout ?? DEFAULT_LOAD_TIMEOUT, place),
    serializer: checkSerializer(options.serializer ?? new ValueSerializer(), place),
    isolate: checkKind(options.isolate ?? true, 'boolean', 'isolate', place),
    onEvent: checkKind(options.onEvent ?? ignore, 'function', 'onEvent', place),
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

const ignore: CacheEventListener = () => undefined;
