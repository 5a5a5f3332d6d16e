import { warnOnce } from '../../core/warn-once.js';
import { CacheEvictInterceptor } from '../cache-evict.interceptor.js';
import type { ResolvedHttpOptions } from '../options/http-options.js';
import {
  interceptorsOf,
  isExactly,
  isOf,
  isUsualSerializer,
  type ListedInterceptor,
  listOf,
  nameOf,
} from '../placement/interceptor-order.js';
import type { CachedHandler } from './cached-handler.js';

/** The names of the interceptors on both sides of the cache, without those that only watch. */
export interface Surroundings {
  readonly outside: readonly string[];
  /** Those inside that are not in the handler's own list, where its author put them; and no serializers. */
  readonly movedInside: readonly string[];
  /** All those inside that are no serializers. */
  readonly inside: readonly string[];
}

/** Finds them in the lists of Nest, whose outermost come first. */
export function surroundingsOf(
  { app, controller, handler }: CachedHandler,
  { observers }: ResolvedHttpOptions,
): Surroundings {
  const all = interceptorsOf(app.config, controller, handler);
  const isCache = (interceptor: ListedInterceptor): boolean => isOf(interceptor, app.cacheInterceptor);
  // An eviction lets the answers of a cached handler pass: no handler has both.
  const onlyWatches = (one: ListedInterceptor): boolean =>
    isCache(one) || isExactly(one, [CacheEvictInterceptor, ...observers]);
  const first = all.findIndex(isCache);
  // Where the cache is in no list, nobody knows what lies outside.
  if (first < 0) return { outside: all.map(nameOf), movedInside: [], inside: all.map(nameOf) };
  const altersInside = (one: ListedInterceptor): boolean => !isUsualSerializer(one) && !onlyWatches(one);
  const outside = all.slice(0, first).filter((one) => !onlyWatches(one));
  const movedInside = all.slice(first + 1, all.length - listOf(handler).length).filter(altersInside);
  const inside = all.slice(first + 1).filter(altersInside);
  return { outside: outside.map(nameOf), movedInside: movedInside.map(nameOf), inside: inside.map(nameOf) };
}

/**
 * Placed outside a serializer, the cache lies outside what comes after that too. The author may not know: an interceptor
 * of the controller that answers each user in its own way was outside before somebody added the serializer.
 */
export function warnOfMovedInside(place: string, { movedInside }: Surroundings): void {
  if (movedInside.length === 0) return;
  warnOnce(
    `inside: ${movedInside.join()}`,
    `${place}: ${movedInside.join(', ')} lies inside the cache, which lies outside the class serializer, so it runs ` +
      'on a miss only. What it reads of a request must stand in the key: name it in vary, key or identify.',
  );
}
