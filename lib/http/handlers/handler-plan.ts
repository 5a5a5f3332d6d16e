import type { VersioningOptions } from '@nestjs/common';
import type { CacheEngine } from '../../core/cache-engine.js';
import type { FetchOptions } from '../../core/fetcher.js';
import type { HttpAnswer } from '../answer/http-answer.js';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import type { CacheScope, ResolvedHttpOptions } from '../options/http-options.js';

/** A handler whose answers are not cached, whatever the request. */
export interface IdlePlan {
  readonly caches: false;
  /** Its answers say so in `Cache-Status`; else they are left untouched. */
  readonly saysSo: boolean;
}

/** What is known of a cached handler before any request. */
export interface CachingPlan {
  readonly caches: true;
  readonly options: ResolvedCachedOptions;
  readonly engine: CacheEngine;
  /** All of it that is the same for every request. */
  readonly fetching: FetchOptions<HttpAnswer | undefined>;
  readonly http: ResolvedHttpOptions;
  readonly scope: CacheScope;
  /** `GET` for a GET handler, also when it answers a HEAD; `undefined`: the request's own, for an `@All` handler. */
  readonly method: 'GET' | 'HEAD' | undefined;
  readonly controller: string;
  readonly handler: string;
  readonly versioning: VersioningOptions | undefined;
  /** The headers that mean "this is somebody", without `authorization` and those in `vary`. */
  readonly otherCredentials: ReadonlySet<string>;
  /** Request headers whose values stand in the key, in lower case: the option's and those the handler takes by name. */
  readonly vary: readonly string[];
  /** What a `Vary` of the answer may name, in lower case. */
  readonly coveredByKey: ReadonlySet<string>;
  /** The headers of the handler that are stored with an answer, in lower case. */
  readonly replayed: ReadonlySet<string>;
  /** Those of them that somebody outside the handler may have set before it runs, perhaps by requester. */
  readonly setOutside: readonly string[];
  /** The interceptors outside the cache that may change an answer, for a warning. */
  readonly outside: readonly string[];
  /** Nothing that Nest knows of stands between the cache and the client: a text may be sent in place of a value. */
  readonly sendsTexts: boolean;
  readonly rendersTemplate: boolean;
  /** The status of a handler with `@Redirect`, unless its value says another; `undefined` for other handlers. */
  readonly redirectStatus: number | undefined;
}

/** What is known of a handler before any request. */
export type HandlerPlan = IdlePlan | CachingPlan;
