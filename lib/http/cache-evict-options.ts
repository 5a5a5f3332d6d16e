import { CachekitConfigError } from '../core/errors.js';
import { checkOptionNames } from '../core/option-names.js';
import { checkCacheName, checkTagsOption, type TagsOf } from './cached-options.js';

/** What a handler evicts when it succeeds. */
export interface CacheEvictOptions {
  /** Every entry that carries one of these becomes unusable. */
  readonly tags: TagsOf;
  /** The name of the cache. Default: the unnamed one. */
  readonly cache?: string;
}

/** The options, checked. */
export interface ResolvedEviction {
  /** Where they were given: `@CacheEvict on CatsController.update`. */
  readonly place: string;
  readonly tags: TagsOf;
  readonly cache: string | undefined;
}

const NAMES: readonly string[] = ['tags', 'cache'] satisfies (keyof CacheEvictOptions)[];

/**
 * Checks what a `@CacheEvict` was given.
 *
 * @throws CachekitConfigError for an unknown option, or one of the wrong kind
 */
export function resolveEviction(options: CacheEvictOptions, place: string): ResolvedEviction {
  // JavaScript can leave it all out.
  checkOptionNames(options ?? {}, NAMES, place);
  if (options?.tags === undefined) {
    throw new CachekitConfigError(`${place}: it does not say what to evict. Give { tags: ['...'] }.`);
  }
  const tags = checkTagsOption(options.tags, place);
  if (Array.isArray(tags) && tags.length === 0) {
    throw new CachekitConfigError(`${place}: with no tags it would evict nothing. Name at least one.`);
  }
  return { place, tags, cache: checkCacheName(options.cache, place) };
}
