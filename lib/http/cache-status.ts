import type { Fetched } from '../core/fetcher.js';
import { headerList } from './header-list.js';
import type { HttpExchange } from './http-exchange.js';

/**
 * Why a request went past the cache:
 * - `body`: the request has a body
 * - `callback`: a callback of the decorator threw, or answered something of the wrong kind
 * - `condition`: `when` said no
 * - `credentials`: the request says who makes it, in a way that the key does not cover
 * - `identity`: `identify` did not say who makes it
 * - `inputs`: the handler takes inputs that the key can't see
 * - `key`: the request has something that can't stand in a key
 * - `response`: the answer can't be shared, or says itself that it must not be
 */
export type BypassDetail =
  'body' | 'callback' | 'condition' | 'credentials' | 'identity' | 'inputs' | 'key' | 'response';

/** The values of the header `Cache-Status` (RFC 9211). */
export function fetchedStatus({ hit, stale, collapsed, stored, ttlMs }: Fetched<unknown>): string {
  // The handler was asked, and failed.
  if (stale === 'error') return `fwd=stale; ttl=${Math.floor(ttlMs / 1_000)}`;
  if (collapsed) return 'fwd=uri-miss; collapsed';
  if (hit) return ttlMs === Infinity ? 'hit' : `hit; ttl=${Math.floor(ttlMs / 1_000)}`;
  return stored ? 'fwd=uri-miss; stored' : 'fwd=uri-miss';
}

/** The value for a request that went past the cache. */
export function bypassStatus(detail: BypassDetail): string {
  return `fwd=bypass; detail=${detail}`;
}

/** The request's method is one whose answers are not cached. */
export const METHOD_STATUS = 'fwd=method';

/** Adds this cache to what caches before it said. Does nothing once the answer is on its way. */
export function setCacheStatus(exchange: HttpExchange, status: string): void {
  if (exchange.isSent) return;
  const before = exchange.responseHeader('cache-status');
  const own = `cachekit; ${status}`;
  const all = before === undefined ? own : [...[before].flat(), own].join(', ');
  exchange.setResponseHeader('cache-status', all);
}

/** Adds names to the header `Vary` of the answer, which may hold others. */
export function addVary(exchange: HttpExchange, names: readonly string[]): void {
  if (names.length === 0 || exchange.isSent) return;
  const before = headerList(exchange.responseHeader('vary'));
  const missing = names.filter((name) => !before.includes(name) && !before.includes('*'));
  if (missing.length === 0) return;
  const own = exchange.responseHeader('vary');
  exchange.setResponseHeader('vary', [...(own === undefined ? [] : [own].flat()), ...missing].join(', '));
}
