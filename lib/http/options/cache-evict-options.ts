import { CachekitConfigError } from '../../core/errors.js';
import { checkOptionNames } from '../../core/option-names.js';
import { checkKind } from '../../core/options.js';
import type { Call } from './call.js';
import { checkCacheName, checkTagsOption, type TagsOf } from './cached-options.js';

/** What a method or a handler evicts when it succeeds: by `tags`, by `method`, or `all`. */
export interface CacheEvictOptions {
  /** Every entry that carries one of these becomes unusable. Default: none. */
  readonly tags?: TagsOf;
  /**
   * The name of a method of the same class with `@Cached`: its answer to one call is removed, and that of a method
   * which it overrides. Not on handlers of HTTP controllers, whose entries are of many users: use `tags` there.
   * Default: none.
   */
  readonly method?: string;
  /** The arguments of that call, as they are given to `method`. Default: those of the method that evicts. */
  readonly args?: (call: Call) => readonly unknown[];
  /** Whether the whole cache is emptied. Default: false. */
  readonly all?: boolean;
  /**
   * Whether it evicts before the method runs, and again when it has ended, even by an error. Default: false, which is
   * only after it succeeded.
   */
  readonly before?: boolean;
  /** The name of the cache. Default: the unnamed one. */
  readonly cache?: string;
}

/** The options, checked. */
export interface ResolvedEviction {
  /** Where they were given: `@CacheEvict on CatsController.update`. */
  readonly place: string;
  readonly tags: TagsOf;
  readonly method: string | undefined;
  readonly args: CacheEvictOptions['args'];
  readonly all: boolean;
  readonly before: boolean;
  readonly cache: string | undefined;
}

const NAMES: readonly string[] = [
  'tags',
  'method',
  'args',
  'all',
  'before',
  'cache',
] satisfies (keyof CacheEvictOptions)[];

/**
 * Checks what a `@CacheEvict` was given.
 *
 * @throws CachekitConfigError for an unknown option, or one of the wrong kind
 */
export function resolveEviction(options: CacheEvictOptions, place: string): ResolvedEviction {
  // JavaScript can leave it all out.
  checkOptionNames(options ?? {}, NAMES, place);
  const { tags, method, args, all = false, before = false, cache } = options ?? {};
  checkKind(all, 'boolean', 'all', place);
  checkKind(before, 'boolean', 'before', place);
  if (tags === undefined && method === undefined && !all) {
    throw new CachekitConfigError(
      `${place}: it does not say what to evict. Give { tags: ['...'] }; or { method: '...' }, a cached method of ` +
        'the same class; or { all: true }.',
    );
  }
  if (all && (tags !== undefined || method !== undefined)) {
    throw new CachekitConfigError(`${place}: all evicts everything already. Leave tags and method out.`);
  }
  const checked = checkTagsOption(tags ?? [], place);
  if (tags !== undefined && Array.isArray(checked) && checked.length === 0) {
    throw new CachekitConfigError(`${place}: with no tags it would evict nothing. Name at least one.`);
  }
  checkMethodOptions(method, args, place);
  return { place, tags: checked, method, args, all, before, cache: checkCacheName(cache, place) };
}

function checkMethodOptions(method: unknown, args: unknown, place: string): void {
  if (method !== undefined && (typeof method !== 'string' || method === '')) {
    throw new CachekitConfigError(`${place}: the option method must be the name of a method.`);
  }
  if (args === undefined) return;
  checkKind(args, 'function', 'args', place);
  if (method === undefined) {
    throw new CachekitConfigError(
      `${place}: the option args needs the option method, whose arguments it gives.`,
    );
  }
}
