import { CachekitConfigError, messageOf } from '../../core/errors.js';
import type { TtlMs } from '../../core/loader.js';
import { checkOptionNames } from '../../core/option-names.js';
import { checkKind, staleInMs } from '../../core/options.js';
import { markersOf } from '../../core/tag-markers.js';
import { toMilliseconds, type Ttl } from '../../core/ttl.js';
import { mayBeReplayed } from '../answer/replayed-head.js';
import type { Call, Callback } from './call.js';
import { checkHeaderNames } from './header-name.js';
import { type CacheScope, checkBody, checkScope, type StoredBody } from './http-options.js';
import { syncAnswer } from './sync-answer.js';
import { warnOfHandler } from '../handlers/warn-of-handler.js';

/** The tags of a call: a fixed list, or a function of the call. At most 64. */
export type TagsOf = readonly string[] | ((call: Call) => readonly string[]);

/** A key of the app's own: a text, or several that together are the key. */
export type OwnKey = string | readonly string[];

/** What can be said of a cached handler. */
export interface CachedOptions {
  /**
   * How long an answer stays fresh. `0`: this handler is not cached. A function is given what the handler answered.
   * Default: the cache's `ttl`.
   */
  readonly ttl?: Ttl | Callback<unknown, Ttl>;
  /**
   * For how long after its ttl an answer is given at once, while the handler runs again in the background. That needs a
   * handler that takes nothing but parameters, query, body and named headers, and no interceptors of the app's own
   * inside the cache: others run while the client waits. Default: the cache's `staleWhileRevalidate`.
   */
  readonly staleWhileRevalidate?: Ttl;
  /**
   * For how long after its ttl an answer is given in place of a failure of the handler: of one that throws anything but
   * an `HttpException` below 500, or that takes longer than `loadTimeout`. It is then not tried again for a second,
   * after more failures for up to 30. Default: the cache's `staleIfError`.
   */
  readonly staleIfError?: Ttl;
  /** Whether only one of all processes runs the handler for a key at a time, while others wait. Default: false. */
  readonly lock?: boolean;
  /**
   * Names an answer, in place of the path's parameters and the query: a text, or several (never join them yourself).
   * Who makes the request, the API version, the host and `vary` still count. Default: parameters and query.
   */
  readonly key?: OwnKey | ((call: Call) => OwnKey);
  /** Only these names of the query count. Default: all. */
  readonly query?: readonly string[];
  /** Request headers that the answer depends on. `@Headers('x')` adds `x` by itself. Default: none. */
  readonly vary?: readonly string[];
  /** What the answer is about, for `@CacheEvict` and `CacheService.invalidateTags`. Default: none. */
  readonly tags?: TagsOf;
  /** Who shares an answer. Default: the cache's `scope`. */
  readonly scope?: CacheScope;
  /** Whether this call goes through the cache at all. Default: every call. */
  readonly when?: (call: Call) => boolean;
  /** Whether this answer is not to be stored. Default: every answer is stored. */
  readonly unless?: Callback<unknown, boolean>;
  /**
   * More response headers that are stored with an answer, if the handler sets them: `['x-total-count']`. Those that say
   * what the body is are always stored: content-type, content-language, content-disposition, link, last-modified,
   * cache-control, expires, location, etag. An answer with any other is not stored. Default: none.
   */
  readonly headers?: readonly string[];
  /**
   * What answers tell browsers and proxies by `Cache-Control`, unless the handler says it: `true` is
   * `private, max-age=` (`public` in scope `public`) with the ttl, a text stands there as it is. What a browser keeps
   * can't be invalidated. Default: false, which is nothing.
   */
  readonly cacheControl?: boolean | string;
  /** Whether the text that is sent is stored, or the handler's value. Default: the cache's `body`. */
  readonly body?: StoredBody;
  /** The name of the cache. Default: the unnamed one. */
  readonly cache?: string;
}

/** The options, checked, with every default that needs no module filled in. */
export interface ResolvedCachedOptions {
  /** Where they were given: `@Cached on CatsController.find`. */
  readonly place: string;
  /** `undefined`: the cache's. */
  readonly ttlMs: TtlMs<unknown> | undefined;
  /** `undefined`: the cache's. */
  readonly staleIfErrorMs: number | undefined;
  /** `undefined`: the cache's. */
  readonly staleWhileRevalidateMs: number | undefined;
  readonly lock: boolean;
  readonly key: CachedOptions['key'];
  readonly query: readonly string[] | undefined;
  /** In lower case. */
  readonly vary: readonly string[];
  readonly tags: TagsOf;
  /** `undefined`: the cache's. */
  readonly scope: CacheScope | undefined;
  readonly when: CachedOptions['when'];
  readonly unless: CachedOptions['unless'];
  /** In lower case. */
  readonly headers: readonly string[];
  readonly cacheControl: boolean | string;
  /** `undefined`: the cache's. */
  readonly body: StoredBody | undefined;
  readonly cache: string | undefined;
}

const NAMES: readonly string[] = [
  'ttl',
  'staleWhileRevalidate',
  'staleIfError',
  'lock',
  'key',
  'query',
  'vary',
  'tags',
  'scope',
  'when',
  'unless',
  'headers',
  'cacheControl',
  'body',
  'cache',
] satisfies (keyof CachedOptions)[];

/**
 * Checks what a `@Cached` was given.
 *
 * @param given a ttl, or options
 * @throws RangeError for an impossible ttl
 * @throws CachekitConfigError for an unknown option, or one of the wrong kind
 */
export function resolveCachedOptions(given: Ttl | CachedOptions, place: string): ResolvedCachedOptions {
  const options = typeof given === 'object' ? given : { ttl: given };
  checkOptionNames(options, NAMES, place);
  const {
    ttl,
    staleWhileRevalidate,
    staleIfError,
    lock = false,
    key,
    query,
    vary = [],
    tags = [],
    scope,
    when,
    unless,
    headers = [],
    cacheControl = false,
    body,
    cache,
  } = options;
  if (scope !== undefined) checkScope(scope, place);
  if (body !== undefined) checkBody(body, place);
  check(key === undefined || typeof key === 'function' || isKey(key), 'key', KEY_KIND, place);
  check(query === undefined || isTextList(query), 'query', "an array of names, such as ['page']", place);
  check(when === undefined || typeof when === 'function', 'when', 'a function of the call', place);
  check(unless === undefined || typeof unless === 'function', 'unless', 'a function of the value', place);
  return {
    place,
    ttlMs: ttl === undefined ? undefined : ttlMsOf(ttl, place),
    staleWhileRevalidateMs:
      staleWhileRevalidate === undefined ? undefined : staleInMs(options, 'staleWhileRevalidate', place),
    staleIfErrorMs: staleIfError === undefined ? undefined : staleInMs(options, 'staleIfError', place),
    lock: checkKind(lock, 'boolean', 'lock', place),
    key,
    query,
    vary: checkHeaderNames(vary, 'vary', place),
    tags: checkTagsOption(tags, place),
    scope,
    when,
    unless,
    headers: checkReplayable(headers, place),
    cacheControl: checkCacheControl(cacheControl, place),
    body,
    cache: checkCacheName(cache, place),
  };
}

function ttlMsOf(ttl: NonNullable<CachedOptions['ttl']>, place: string): TtlMs<unknown> {
  if (typeof ttl !== 'function') return toMilliseconds(ttl, place);
  return (value) => {
    try {
      return toMilliseconds(syncAnswer(ttl(value), 'ttl'), `${place}, ttl of the answer`);
    } catch (error) {
      // The handler has answered: its request, and those that wait for it, must not fail now.
      warnOfHandler(place, 'an answer was not stored, since its ttl could not be told', error);
      return 0;
    }
  };
}

function checkReplayable(headers: readonly string[], place: string): readonly string[] {
  const names = checkHeaderNames(headers, 'headers', place);
  const wrong = names.find((name) => !mayBeReplayed(name));
  if (wrong === undefined) return names;
  throw new CachekitConfigError(
    `${place}: the option headers names ${wrong}, which can not be stored with an answer. Leave it out.`,
  );
}

function checkCacheControl(cacheControl: boolean | string, place: string): boolean | string {
  const right =
    typeof cacheControl === 'boolean' ||
    (typeof cacheControl === 'string' && /^[\x21-\x7e][ -~]*$/.test(cacheControl));
  check(
    right,
    'cacheControl',
    "true, false, or what the header shall say, such as 'public, max-age=60'",
    place,
  );
  return cacheControl;
}

const KEY_KIND = 'a text, an array of texts, or a function that answers one of them';

/** @throws CachekitConfigError */
export function checkTagsOption(tags: TagsOf, place: string): TagsOf {
  if (typeof tags === 'function') return tags;
  try {
    markersOf(tags, place);
    return tags;
  } catch (cause) {
    throw new CachekitConfigError(messageOf(cause), { cause });
  }
}

/** @throws CachekitConfigError */
export function checkCacheName(cache: string | undefined, place: string): string | undefined {
  check(
    cache === undefined || (typeof cache === 'string' && cache !== ''),
    'cache',
    'the name of a cache',
    place,
  );
  return cache;
}

/** The tags of one call, unchecked. @throws what the callback throws */
export function tagsOf(tags: TagsOf, call: () => Call): readonly string[] {
  return typeof tags === 'function' ? syncAnswer(tags(call()), 'tags') : tags;
}

/** @throws TypeError for what is not a text or a list of texts; or what the callback throws */
export function keyOf(key: NonNullable<CachedOptions['key']>, call: () => Call): OwnKey {
  const text: unknown = typeof key === 'function' ? syncAnswer(key(call()), 'key') : key;
  if (isKey(text)) return text;
  throw new TypeError('key must answer a text, or an array of texts');
}

function isKey(value: unknown): value is OwnKey {
  return typeof value === 'string' || isTextList(value);
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function check(right: boolean, option: string, kind: string, place: string): void {
  if (!right) throw new CachekitConfigError(`${place}: the option ${option} must be ${kind}.`);
}
