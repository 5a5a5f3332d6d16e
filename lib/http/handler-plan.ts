import 'reflect-metadata';
import { type NestInterceptor, RequestMethod, type Type } from '@nestjs/common';
import type { ApplicationConfig, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { CacheEngine } from '../core/cache-engine.js';
import type { CacheService } from '../core/cache.service.js';
import { CachekitConfigError } from '../core/errors.js';
import { getCacheToken } from '../core/tokens.js';
import { warnOnce } from '../core/warn-once.js';
import type { ResolvedCachedOptions } from './cached-options.js';
import { type HandlerInputs, readInputs } from './handler-inputs.js';
import {
  type CacheScope,
  getHttpOptionsToken,
  missingIdentify,
  resolveHttpOptions,
  type ResolvedHttpOptions,
} from './http-options.js';
import { interceptorsOf, isOf, nameOf } from './interceptor-order.js';
import { NEST_METADATA } from './nest-metadata.js';
import { warnOfHandler } from './warn-of-handler.js';

/** What of an app a plan is made from. */
export interface AppParts {
  readonly moduleRef: ModuleRef;
  readonly modules: ModulesContainer;
  readonly config: ApplicationConfig;
  /** The interceptor that caches; what lists before it lies outside the cache. */
  readonly cacheInterceptor: Type<NestInterceptor>;
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
  /** Above 0. */
  readonly ttlMs: number;
  readonly http: ResolvedHttpOptions;
  readonly scope: CacheScope;
  /** `GET` for a GET handler, also when it answers a HEAD; `undefined`: the request's own, for an `@All` handler. */
  readonly method: 'GET' | 'HEAD' | undefined;
  readonly controller: string;
  readonly handler: string;
  readonly versioning: ReturnType<ApplicationConfig['getVersioning']>;
  /** Request headers whose values stand in the key, in lower case: the option's and those the handler takes by name. */
  readonly vary: readonly string[];
  /** What a `Vary` of the answer may name. */
  readonly coveredByKey: ReadonlySet<string>;
  /** The interceptors that lie outside the cache, for a warning. */
  readonly outside: readonly string[];
  readonly rendersTemplate: boolean;
  /** The status of a handler with `@Redirect`, unless its value says another; `undefined` for other handlers. */
  readonly redirectStatus: number | undefined;
}

/** What is known of a handler before any request. */
export type HandlerPlan = IdlePlan | CachingPlan;

const UNTOUCHED: IdlePlan = { caches: false, saysSo: false };
const DEFAULT_REDIRECT_STATUS = 302;

/**
 * Headers that a `Vary` may name although they are not in the key, when it was set before the handler: CORS and
 * compression do so for every answer, and change the answer's headers or its encoding, never its value.
 */
const SET_OUTSIDE = [
  'origin',
  'accept-encoding',
  'access-control-request-method',
  'access-control-request-headers',
];

/** Makes the plan of a handler that has a `@Cached`, and says once what its author should know. */
export function makePlan(
  app: AppParts,
  controller: Type,
  handler: object,
  options: ResolvedCachedOptions,
): HandlerPlan {
  const { place } = options;
  const cache = findCache(app.moduleRef, options.cache);
  if (cache === undefined) {
    warnOnce(
      `no ${cacheTitle(options.cache)}`,
      `Nothing is cached by @Cached, since the app has no ${cacheTitle(options.cache)}.`,
    );
    return UNTOUCHED;
  }
  const ttlMs = options.ttlMs ?? cache.engine.options.ttlMs;
  if (ttlMs === 0) return UNTOUCHED;
  const misuse = misuseOf(app, handler, options);
  if (misuse !== undefined) {
    warnOnce(misuse.message, misuse.message);
    return UNTOUCHED;
  }
  const inputs = readInputs(controller, handler);
  const answering = answersByItself(handler, inputs);
  if (answering !== undefined) {
    warnOfHandler(place, `not cached, since ${answering}`);
    return UNTOUCHED;
  }
  const http = httpOptionsOf(app.moduleRef, options.cache);
  const unseen = undeclaredInputs(app, controller, inputs, options, http);
  if (unseen.length > 0) {
    warnOfHandler(
      place,
      `not cached, since its answer may depend on what the cache's key can't see: ${unseen.join(', ')}. ` +
        "Say what counts: key or vary on @Cached, identify on forRoot, or scope: 'public' if everybody may share it",
    );
    return { caches: false, saysSo: true };
  }
  const scope = options.scope ?? http.scope;
  const vary = [...new Set([...options.vary, ...inputs.headers])];
  const versioning = app.config.getVersioning();
  const redirect = metadataOf<{ statusCode?: number }>(NEST_METADATA.redirect, handler);
  return {
    caches: true,
    options,
    engine: cache.engine,
    ttlMs,
    http,
    scope,
    method: METHODS.get(methodOf(handler)),
    controller: controller.name,
    handler: handlerName(handler),
    versioning,
    vary,
    coveredByKey: coveredByKey(handler, vary, scope, http, versioning),
    outside: outsideOf(app, controller, handler),
    rendersTemplate: metadataOf(NEST_METADATA.render, handler) !== undefined,
    redirectStatus: redirect && (redirect.statusCode ?? DEFAULT_REDIRECT_STATUS),
  };
}

const METHODS: ReadonlyMap<RequestMethod | undefined, 'GET' | 'HEAD' | undefined> = new Map([
  [RequestMethod.GET, 'GET'],
  [RequestMethod.HEAD, 'HEAD'],
  [RequestMethod.ALL, undefined],
] as const);

/**
 * What is wrong with a `@Cached`, beyond its options: the app has no such cache, the handler never answers a GET, or
 * the scope needs what the cache lacks. Nothing is cached then.
 */
export function misuseOf(
  { moduleRef }: Pick<AppParts, 'moduleRef'>,
  handler: object,
  { place, cache, scope }: ResolvedCachedOptions,
): CachekitConfigError | undefined {
  if (findCache(moduleRef, cache) === undefined) return missingCache(place, cache);
  if (!METHODS.has(methodOf(handler))) {
    return new CachekitConfigError(
      `${place}: only handlers of GET and HEAD requests are cached (@Get, @Head, @All). ` +
        'Elsewhere, inject CacheService and call getOrSet(key, load).',
    );
  }
  if (scope === 'private' && httpOptionsOf(moduleRef, cache).identify === undefined)
    return missingIdentify(place);
  return undefined;
}

/** What to throw where a decorator names a cache that the app does not have. */
export function missingCache(place: string, name: string | undefined): CachekitConfigError {
  return new CachekitConfigError(`${place}: the app has no ${cacheTitle(name)}.`);
}

/** The cache of that name in this app; `undefined` if there is none. */
export function findCache(moduleRef: ModuleRef, name: string | undefined): CacheService | undefined {
  try {
    return moduleRef.get<CacheService>(getCacheToken(name), { strict: false });
  } catch {
    // Nest's way of saying that no module provides it.
    return undefined;
  }
}

function cacheTitle(name: string | undefined): string {
  return name === undefined
    ? 'unnamed cache: add CachekitModule.forRoot() to the imports of AppModule'
    : `cache named "${name}": add CachekitModule.forRoot(backend, { name: '${name}' }) to the imports of AppModule`;
}

function httpOptionsOf(moduleRef: ModuleRef, name: string | undefined): ResolvedHttpOptions {
  try {
    return moduleRef.get<ResolvedHttpOptions>(getHttpOptionsToken(name), { strict: false });
  } catch {
    // A cache that a test provides by itself. The defaults are the safe ones.
    return resolveHttpOptions({}, 'CachekitModule');
  }
}

/** Why an answer never comes by the handler's return value; `undefined` if it does. */
function answersByItself(handler: object, { takesResponse }: HandlerInputs): string | undefined {
  if (metadataOf(NEST_METADATA.sse, handler) !== undefined)
    return 'an event stream (@Sse) has no end to store';
  if (!takesResponse) return undefined;
  return 'with @Res() or @Next() it may answer by itself. Take them out and return the value';
}

function undeclaredInputs(
  app: AppParts,
  controller: Type,
  inputs: HandlerInputs,
  options: ResolvedCachedOptions,
  http: ResolvedHttpOptions,
): readonly string[] {
  const scope = options.scope ?? http.scope;
  const declared = options.key !== undefined || options.vary.length > 0 || http.identify !== undefined;
  if (declared || scope !== 'auto') return [];
  if (isSingleton(app.modules, controller)) return inputs.unseen;
  return [...inputs.unseen, 'the request, since the controller is request-scoped'];
}

/** A class that is not found is not known to be a singleton. */
function isSingleton(modules: ModulesContainer, controller: Type): boolean {
  const wrappers = [...modules.values()].flatMap((module) => module.controllers.get(controller) ?? []);
  return wrappers.length > 0 && wrappers.every((wrapper) => wrapper.isDependencyTreeStatic());
}

function coveredByKey(
  handler: object,
  vary: readonly string[],
  scope: CacheScope,
  http: ResolvedHttpOptions,
  versioning: CachingPlan['versioning'],
): ReadonlySet<string> {
  const covered = new Set([...SET_OUTSIDE, ...vary]);
  // What the handler's own @Header('Vary', ...) names, its value depends on.
  const own = metadataOf<readonly { name: string; value: unknown }[]>(NEST_METADATA.headers, handler) ?? [];
  const declared = own.filter(({ name }) => name.toLowerCase() === 'vary').map(({ value }) => String(value));
  for (const name of declared.join(',').split(',')) {
    if (!vary.includes(name.trim().toLowerCase())) covered.delete(name.trim().toLowerCase());
  }
  // Outside 'public', a request with a credential has the key of its sender, or no key at all.
  if (scope !== 'public') for (const name of http.credentials) covered.add(name);
  const versionHeader = versionHeaderOf(versioning);
  if (versionHeader !== undefined) covered.add(versionHeader);
  return covered;
}

/** The request header that says which version of the API is asked for; `undefined` if no header does. */
export function versionHeaderOf(versioning: CachingPlan['versioning']): string | undefined {
  if (versioning === undefined) return undefined;
  if ('header' in versioning) return versioning.header.toLowerCase();
  return 'key' in versioning ? 'accept' : undefined;
}

function outsideOf(app: AppParts, controller: Type, handler: object): readonly string[] {
  const all = interceptorsOf(app.config, controller, handler);
  const cacheIndex = all.findIndex((interceptor) => isOf(interceptor, app.cacheInterceptor));
  return all.slice(0, Math.max(0, cacheIndex)).map(nameOf);
}

function methodOf(handler: object): RequestMethod | undefined {
  return metadataOf<RequestMethod>(NEST_METADATA.method, handler);
}

function handlerName(handler: object): string {
  return typeof handler === 'function' ? handler.name : '';
}

function metadataOf<T = unknown>(name: string, target: object): T | undefined {
  return Reflect.getMetadata(name, target) as T | undefined;
}
