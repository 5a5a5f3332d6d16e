import 'reflect-metadata';
import { RequestMethod, type Type } from '@nestjs/common';
import type { ModuleRef, ModulesContainer } from '@nestjs/core';
import type { CacheEngine } from '../../core/cache-engine.js';
import { CachekitConfigError } from '../../core/errors.js';
import type { TtlMs } from '../../core/loader.js';
import { warnOnce } from '../../core/warn-once.js';
import { AnswerSerializer } from '../answer/answer-serializer.js';
import { replayedHeaders } from '../answer/replayed-head.js';
import { headersCoveredByKey } from '../key/key-coverage.js';
import type { ResolvedCachedOptions } from '../options/cached-options.js';
import { missingIdentify, type ResolvedHttpOptions } from '../options/http-options.js';
import { findCache, findHttpOptions, hasCache, missingCache, whyNoCache } from './app-caches.js';
import type { CachedHandler } from './cached-handler.js';
import { type HandlerInputs, readInputs } from './handler-inputs.js';
import type { CachingPlan, HandlerPlan, IdlePlan } from './handler-plan.js';
import { NEST_METADATA } from './nest-metadata.js';
import { methodOf, redirectStatusOf, staticHeadersOf } from './route-metadata.js';
import { isServerFault } from './server-fault.js';
import { type Surroundings, surroundingsOf, warnOfMovedInside } from './surroundings.js';
import { warnOfHandler } from './warn-of-handler.js';

const UNTOUCHED: IdlePlan = { caches: false, saysSo: false };
const PAST_THE_CACHE: IdlePlan = { caches: false, saysSo: true };

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
  const { engine } = cache;
  const ttlMs = options.ttlMs ?? engine.options.ttlMs;
  if (ttlMs === 0) return UNTOUCHED;
  const http = findHttpOptions(app.moduleRef, options.cache);
  const inputs = readInputs(controller, handler);
  const idle = idlePlanOf(cached, http, inputs);
  if (idle !== undefined) return idle;
  const surroundings = surroundingsOf(cached, http);
  warnOfMovedInside(options.place, surroundings);
  // 0 where the handler can't run again once its request is answered.
  const staleWhileRevalidateMs = staleWhileRevalidateOf(cached, engine, inputs, surroundings);
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
    engine,
    fetching: fetchingOf(engine, options, ttlMs, staleWhileRevalidateMs),
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

function fetchingOf(
  { options: defaults }: CacheEngine,
  { staleIfErrorMs, lock }: ResolvedCachedOptions,
  ttlMs: TtlMs<unknown>,
  staleWhileRevalidateMs: number,
): CachingPlan['fetching'] {
  return {
    ttlMs: typeof ttlMs === 'number' ? ttlMs : (answer) => ttlMs(answer?.made?.value),
    loadTimeoutMs: defaults.loadTimeoutMs,
    staleWhileRevalidateMs,
    staleIfErrorMs: staleIfErrorMs ?? defaults.staleIfErrorMs,
    lock,
    markers: [],
    kind: 'http',
    excuses: isServerFault,
    admit: (answer) => answer?.made?.admission ?? 'own',
    onUnserializable: 'own',
    serializer: new AnswerSerializer(defaults.serializer),
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
