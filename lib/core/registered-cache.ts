import type { CacheBackend } from '../backends/cache-backend.js';
import { CachekitConfigError } from './errors.js';

/** One cache that an app has. */
export class RegisteredCache {
  /** @param name absent for the unnamed one */
  constructor(
    readonly backend: CacheBackend,
    readonly name?: string,
  ) {}

  /** For messages: `the cache "sessions"`. */
  get label(): string {
    return this.name === undefined ? 'the unnamed cache' : `the cache "${this.name}"`;
  }
}

/**
 * Checks that the caches of an app are apart from each other. (Two backends of one server and namespace are not found:
 * only their authors know what they share.)
 *
 * @throws CachekitConfigError for two with the same name or without one, and for two with the same backend
 */
export function checkApart(caches: readonly RegisteredCache[]): void {
  for (const [index, cache] of caches.entries()) {
    const others = caches.slice(0, index);
    if (others.some(({ name }) => name === cache.name)) throw sameName(cache);
    const sharing = others.find(({ backend }) => backend === cache.backend);
    if (sharing !== undefined) throw sameBackend(sharing, cache);
  }
}

function sameName({ name }: RegisteredCache): CachekitConfigError {
  const which = name === undefined ? 'two unnamed caches' : `two caches named "${name}"`;
  return new CachekitConfigError(
    `CachekitModule: this app has ${which}. Import forRoot once, in the root module; give a second cache ` +
      "a name of its own: forRoot(backend, { name: 'sessions' }).",
  );
}

function sameBackend(one: RegisteredCache, other: RegisteredCache): CachekitConfigError {
  return new CachekitConfigError(
    `CachekitModule: ${one.label} and ${other.label} have the same backend, so each would read, overwrite and clear ` +
      "the other's entries. Give each a backend of its own, with a namespace of its own; or use one cache, and " +
      "cache.namespace('sessions') for a part of it.",
  );
}
