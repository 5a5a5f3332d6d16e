import 'reflect-metadata';
import { type NestInterceptor, RequestMethod, type Type, type VersioningOptions } from '@nestjs/common';
import type { ApplicationConfig, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { CacheEngine } from '../../core/cache-engine.js';
import type { FetchOptions } from '../../core/fetcher.js';
import { CachekitConfigError } from '../../core/errors.js';
import { warnOnce } from '../../core/warn-once.js';
import { findCache, findHttpOptions, hasCache, missingCache, whyNoCache } from './app-caches.js';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import { AnswerSerializer } from '../answer/answer-serializer.js';
import type { HttpAnswer } from '../answer/http-answer.js';
import { replayedHeaders } from '../answer/replayed-head.js';
import { CacheEvictInterceptor } from '../cache-evict.interceptor.js';
import { type HandlerInputs, readInputs } from './handler-inputs.js';
import { type CacheScope, missingIdentify, type ResolvedHttpOptions } from '../options/http-options.js';
import {
  interceptorsOf,
  isExactly,
  isOf,
  isUsualSerializer,
  type ListedInterceptor,
  listOf,
  nameOf,
} from '../placement/interceptor-order.js';
import { headersCoveredByKey } from '../key/key-coverage.js';
import { NEST_METADATA } from './nest-metadata.js';
import { isServerFault } from './server-fault.js';
import { warnOfHandler } from './warn-of-handler.js';

/** What of an app a plan is made from. */
export interface AppParts {
  readonly moduleRef: ModuleRef;
  readonly modules: ModulesContainer;
  readonly config: ApplicationConfig;
  /** The interceptor that caches; what is listed before it lies outside the cache. */
  readonly cacheInterceptor: Type<NestInterceptor>;
}

/** A handler with a `@Cached`, in a controller of an app. */
export interface CachedHandler {
  readonly app: AppParts;
  readonly controller: Type;
  readonly handler: object;
  readonly options: ResolvedCachedOptions;
}

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

const UNTOUCHED: IdlePlan = { caches: false, saysSo: false };
const PAST_THE_CACHE: IdlePlan = { caches: false, saysSo: true };
const DEFAULT_REDIRECT_STATUS = 302;

const METHODS: ReadonlyMap<RequestMethod | undefined, CachingPlan['method']> = new Map([
  [RequestMethod.GET, 'GET'],
  [RequestMethod.HEAD, 'HEAD'],
  [RequestMethod.ALL, undefined],
] as const);

/** Makes the plan of a handler, and says once what its author should know. */
export function makePlan(cached: CachedHandler): HandlerPlan {
  const { app, handler, controller, options } = cached;
  const cache = findCache(app.moduleRef, options.cache);
  if (cache === undefined) {
    const reason = whyNoCache(app.moduleRef, options.cache);
    warnOnce(`@Cached: ${reason}`, `Nothing is cached by @Cached, since ${reason}.`);
    return UNTOUCHED;
  }
  const ttlMs = options.ttlMs ?? cache.engine.options.ttlMs;
  if (ttlMs === 0) return UNTOUCHED;
  const http = findHttpOptions(app.moduleRef, options.cache);
  const inputs = readInputs(controller, handler);
  const idle = idlePlanOf(cached, http, inputs);
  if (idle !== undefined) return idle;
  const surroundings = surroundingsOf(cached, http);
  warnOfMovedInside(options.place, surroundings);
  const scope = options.scope ?? http.scope;
  const vary = [...new Set([...options.vary, ...inputs.headers])];
  const versioning = app.config.getVersioning();
  const replayed = replayedHeaders(options.headers);
  const ownHeaders = staticHeadersOf(handler);
  const rendersTemplate = Reflect.hasMetadata(NEST_METADATA.render, handler);
  const redirectStatus = redirectStatusOf(handler);
  const isSentAsMade = !rendersTemplate && redirectStatus === undefined && surroundings.outside.length === 0;
  return {
    caches: true,
    options,
    engine: cache.engine,
    fetching: {
      ttlMs: typeof ttlMs === 'number' ? ttlMs : (answer) => ttlMs(answer?.made?.value),
      loadTimeoutMs: cache.engine.options.loadTimeoutMs,
      // 0 where the handler can't run again once its request is answered.
      staleWhileRevalidateMs: staleWhileRevalidateOf(cached, cache.engine, inputs, surroundings),
      staleIfErrorMs: options.staleIfErrorMs ?? cache.engine.options.staleIfErrorMs,
      lock: options.lock,
      markers: [],
      kind: 'http',
      excuses: isServerFault,
      admit: (answer) => answer?.made?.admission ?? 'own',
      onUnserializable: 'own',
      serializer: new AnswerSerializer(cache.engine.options.serializer),
    },
    http,
    scope,
    method: METHODS.get(methodOf(handler)),
    controller: controller.name,
    handler: typeof handler === 'function' ? handler.name : '',
    versioning,
    otherCredentials: new Set(
      [...http.credentials].filter((name) => name !== 'authorization' && !vary.includes(name)),
    ),
    vary,
    coveredByKey: headersCoveredByKey(handler, { vary, scope, http, versioning }),
    replayed,
    setOutside: [...replayed].filter((name) => !ownHeaders.has(name)),
    outside: surroundings.outside,
    sendsTexts: isSentAsMade && (options.body ?? http.body) === 'text',
    rendersTemplate,
    redirectStatus,
  };
}

/**
 * What is wrong with a `@Cached`, beyond its options: the app has no such cache, the handler never answers a GET, or
 * the scope needs what the cache lacks. Nothing is cached then.
 */
export function misuseOf(
  moduleRef: ModuleRef,
  handler: object,
  { place, cache, scope }: ResolvedCachedOptions,
): CachekitConfigError | undefined {
  if (!hasCache(moduleRef, cache)) return missingCache(place, cache);
  if (!METHODS.has(methodOf(handler))) {
    return new CachekitConfigError(
      `${place}: only handlers of GET and HEAD requests are cached (@Get, @Head, @All). ` +
        'Elsewhere, inject CacheService and call getOrSet(key, load).',
    );
  }
  const lacksIdentify = findHttpOptions(moduleRef, cache).identify === undefined;
  return scope === 'private' && lacksIdentify ? missingIdentify(place) : undefined;
}

/** The plan of a handler that the cache can't serve; `undefined` for any other. */
function idlePlanOf(
  cached: CachedHandler,
  http: ResolvedHttpOptions,
  inputs: HandlerInputs,
): IdlePlan | undefined {
  const { app, handler, options } = cached;
  const misuse = misuseOf(app.moduleRef, handler, options);
  if (misuse !== undefined) {
    warnOnce(misuse.message, misuse.message);
    return UNTOUCHED;
  }
  const answering = howItAnswersItself(handler, inputs);
  if (answering !== undefined) {
    warnOfHandler(options.place, `not cached, since ${answering}`);
    return UNTOUCHED;
  }
  const unseen = undeclaredInputs(cached, http, inputs);
  if (unseen.length === 0) return undefined;
  warnOfHandler(
    options.place,
    `not cached, since its answer may depend on what the cache's key can't see: ${unseen.join(', ')}. ` +
      "Say what counts: key or vary on @Cached, identify on forRoot, or scope: 'public' if everybody may share it",
  );
  return PAST_THE_CACHE;
}

/** Why an answer never comes by the handler's return value; `undefined` if it does. */
function howItAnswersItself(handler: object, { mayAnswerItself }: HandlerInputs): string | undefined {
  const isEventStream = Reflect.hasMetadata(NEST_METADATA.sse, handler);
  if (isEventStream) return 'an event stream (@Sse) has no end to store';
  if (!mayAnswerItself) return undefined;
  return (
    'with @Res() or @Next() it may answer by itself. Return the value, and take @Res({ passthrough: true }) to set ' +
    'headers'
  );
}

function undeclaredInputs(
  { app, controller, options }: CachedHandler,
  http: ResolvedHttpOptions,
  { unseen }: HandlerInputs,
): readonly string[] {
  const scope = options.scope ?? http.scope;
  const declared = options.key !== undefined || options.vary.length > 0 || http.identify !== undefined;
  if (declared || scope !== 'auto') return [];
  if (isSingleton(app.modules, controller)) return unseen;
  return [...unseen, 'the request, since the controller is request-scoped'];
}

/** A class that is not found is not known to be a singleton. */
function isSingleton(modules: ModulesContainer, controller: Type): boolean {
  const wrappers = [...modules.values()].flatMap((module) => module.controllers.get(controller) ?? []);
  return wrappers.length > 0 && wrappers.every((wrapper) => wrapper.isDependencyTreeStatic());
}

/** The names of the interceptors on both sides of the cache, without those that only watch. */
interface Surroundings {
  readonly outside: readonly string[];
  /** Those inside that are not in the handler's own list, where its author put them; and no serializers. */
  readonly movedInside: readonly string[];
  /** All those inside that are no serializers. */
  readonly inside: readonly string[];
}

function surroundingsOf(
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
 * How long an answer may be given stale while the handler runs again. It then runs when its request is over, so it must
 * not get at what belongs to that: its response above all, which nobody compares or sends any more.
 */
function staleWhileRevalidateOf(
  { app, controller, options }: CachedHandler,
  engine: CacheEngine,
  { unseen, takesResponse }: HandlerInputs,
  { inside }: Surroundings,
): number {
  const reasons = [
    ...unseen.map((input) => `it takes ${input}`),
    ...(takesResponse ? ['it takes @Res()'] : []),
    ...(isSingleton(app.modules, controller) ? [] : ['its controller is request-scoped']),
    ...inside.map((name) => `${name} lies inside the cache`),
  ];
  if (reasons.length === 0) return options.staleWhileRevalidateMs ?? engine.options.staleWhileRevalidateMs;
  if (options.staleWhileRevalidateMs !== undefined && options.staleWhileRevalidateMs > 0) {
    warnOfHandler(
      options.place,
      `staleWhileRevalidate has no effect, since the handler can not run again after its request: ${reasons.join(', ')}`,
    );
  }
  return 0;
}

/**
 * Placed outside a serializer, the cache lies outside what comes after that too. The author may not know: an interceptor
 * of the controller that answers each user in its own way was outside before somebody added the serializer.
 */
function warnOfMovedInside(place: string, { movedInside }: Surroundings): void {
  if (movedInside.length === 0) return;
  warnOnce(
    `inside: ${movedInside.join()}`,
    `${place}: ${movedInside.join(', ')} lies inside the cache, which lies outside the class serializer, so it runs ` +
      'on a miss only. What it reads of a request must stand in the key: name it in vary, key or identify.',
  );
}

function methodOf(handler: object): RequestMethod | undefined {
  return Reflect.getMetadata(NEST_METADATA.method, handler) as RequestMethod | undefined;
}

/** The names, in lower case, of what `@Header` says of a handler: Nest sets it on every answer, over what was there. */
function staticHeadersOf(handler: object): ReadonlySet<string> {
  const headers = Reflect.getMetadata(NEST_METADATA.headers, handler) as
    readonly { readonly name: string }[] | undefined;
  return new Set(headers?.map(({ name }) => name.toLowerCase()));
}

function redirectStatusOf(handler: object): number | undefined {
  const redirect = Reflect.getMetadata(NEST_METADATA.redirect, handler) as
    { readonly statusCode?: number } | undefined;
  return redirect && (redirect.statusCode ?? DEFAULT_REDIRECT_STATUS);
}
