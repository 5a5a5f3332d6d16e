/** What an operation on the backend was, for events and messages. */
export type BackendOperation = 'open' | 'close' | 'get' | 'set' | 'replace' | 'delete' | 'clear';

/**
 * What happened in a cache. `key` is the key as the app gave it: in a namespace, the
 * namespace and a colon before it; for an HTTP answer, its route as JSON text.
 *
 * - `hit`, `miss`: a read found a usable entry (`stale`: one whose ttl is over), or none, and so the caller's load began
 * - `collapsed`: a caller waited for the load of another, in this process or, with `lock`, in another one; in place of a
 *   hit or a miss
 * - `set`, `delete`, `invalidate`, `clear`: a write took effect
 * - `evict`: the backend dropped an entry for want of room. Only backends in this process tell
 * - `refresh`: a stale value is loaded anew in the background
 * - `refresh-failed`: a load failed, and the stale value stays, or is answered in place of the error
 * - `not-stored`: a load's answer was given to its callers but not stored, and why
 * - `timeout`: a load ran longer than its `loadTimeout`
 * - `error`: the backend failed, or what it holds can't be read
 * - `breaker`: the backend is silent, and operations are not tried any more (`open`); it answers again (`closed`)
 * - `caught-up`: invalidations that had failed were written, so many keys and tags, or a whole `clear`
 */
export type CacheEvent =
  | { readonly type: 'hit'; readonly key: string; readonly stale: boolean }
  | {
      readonly type: 'miss' | 'collapsed' | 'set' | 'delete' | 'evict' | 'refresh';
      readonly key: string;
    }
  | { readonly type: 'refresh-failed'; readonly key: string; readonly error: unknown }
  | {
      readonly type: 'not-stored';
      readonly key: string;
      readonly reason: NotStored;
      readonly error?: unknown;
    }
  | { readonly type: 'invalidate'; readonly tags: readonly string[] }
  | { readonly type: 'clear'; readonly namespace?: string }
  | { readonly type: 'timeout'; readonly key: string; readonly timeoutMs: number }
  | { readonly type: 'breaker'; readonly state: 'open' | 'closed' }
  | { readonly type: 'caught-up'; readonly keys: number; readonly tags: number; readonly clear: boolean }
  | {
      readonly type: 'error';
      readonly operation: BackendOperation | 'decode' | 'evict' | 'put';
      readonly key?: string;
      readonly error: unknown;
    };

/**
 * Why a load's answer was not stored: it was superseded by a write or an invalidation while it ran (`outdated`),
 * its ttl was over when it ended (`expired`), it was `undefined` (`absent`), the backend failed before or after the
 * load (`backend`), others wrote the key first again and again, or held it with `lock` for as long as the load may take
 * (`overtaken`), its caller loaded for itself, since it could not use the answer it had waited for (`alone`), the entry is over a limit of the backend (`too-large`), the value can't be serialized
 * (`unserializable`), or the caller of the load did not want it stored (`declined`).
 */
export type NotStored =
  | 'outdated'
  | 'expired'
  | 'absent'
  | 'backend'
  | 'overtaken'
  | 'alone'
  | 'too-large'
  | 'unserializable'
  | 'declined';

/**
 * Is told what happens in a cache. What it answers is ignored; what it throws, or rejects with, is logged once and never
 * reaches the caller of the cache.
 */
export type CacheEventListener = (event: CacheEvent) => unknown;
