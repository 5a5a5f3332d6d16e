import type { Type } from '@nestjs/common';
import { type ModuleRef, ModulesContainer } from '@nestjs/core';
import type { CacheEngine } from '../core/cache-engine.js';
import { findCache, findHttpOptions, hasCache } from '../http/handlers/app-caches.js';
import type { ResolvedCachedOptions } from '../http/options/cached-options.js';
import type { ResolvedHttpOptions } from '../http/options/http-options.js';
import { warnOfHandler } from '../http/handlers/warn-of-handler.js';
import { cachedMethodsOf } from './cached-methods.js';

/** A method with a `@Cached`. */
export interface CachedMethod {
  /** The class that declares it. */
  readonly owner: string;
  /** Of that class. */
  readonly prototype: object;
  readonly name: string;
  readonly options: ResolvedCachedOptions;
}

/** What is known of a cached method of one instance before any call; `undefined`: its calls are not cached. */
export interface MethodPlan {
  readonly engine: CacheEngine;
  readonly http: ResolvedHttpOptions;
  /** Whether who asks need not be known. */
  readonly isPublic: boolean;
  /** What stands for the method in every key. */
  readonly label: readonly string[];
  /** The instance outlives every request, so the method can run again when nobody waits for it. */
  readonly isSingleton: boolean;
}

/**
 * Makes the plan of a method of an instance, and says once what its author should know.
 *
 * @returns `'later'` while the app has no cache yet, since it is still being made
 */
export function makeMethodPlan(
  method: CachedMethod,
  self: object,
  moduleRef: ModuleRef,
): MethodPlan | 'later' | undefined {
  const { options, owner, name } = method;
  if (options.ttlMs === 0) return undefined;
  const cache = findCache(moduleRef, options.cache);
  if (cache === undefined) return hasCache(moduleRef, options.cache) ? 'later' : undefined;
  const modules = moduleRef.get(ModulesContainer, { strict: false });
  const type = self.constructor as Type;
  const nameless = whyNoName(modules, method, type);
  if (nameless !== undefined) {
    warnOfHandler(options.place, `not cached, since ${nameless}`);
    return undefined;
  }
  const special = whyNoSingleton(modules, self, type);
  const saysWhatCounts = options.key !== undefined || options.scope === 'public';
  if (special !== undefined && !saysWhatCounts) {
    warnOfHandler(
      options.place,
      `not cached, since ${special}, and the key can't see what sets its instances apart. ` +
        "Say what counts by key, or scope: 'public' if they all answer alike",
    );
    return undefined;
  }
  const depth = depthOf(method.prototype, type);
  const label = depth === 0 ? [owner, name] : [type.name, String(depth), owner, name];
  const http = findHttpOptions(moduleRef, options.cache);
  const isPublic = (options.scope ?? http.scope) === 'public';
  return { engine: cache.engine, http, isPublic, label, isSingleton: special === undefined };
}

/** How far up a class inherits a prototype from. A name is not enough: a class may have that of the one it extends. */
function depthOf(prototype: object, type: Type): number {
  let depth = 0;
  let here: unknown = type.prototype;
  while (typeof here === 'object' && here !== null && here !== prototype) {
    here = Object.getPrototypeOf(here);
    depth++;
  }
  return depth;
}

/** Why the name of a class says too little for a key; `undefined` if it does. */
function whyNoName(modules: ModulesContainer, method: CachedMethod, type: Type): string | undefined {
  if (type.name === '') return 'its class has no name. Give it one';
  const isTwin = (other: Type): boolean =>
    other !== type &&
    other.name === type.name &&
    cachedMethodsOf(other.prototype as object).some(
      ({ method: { owner, name, options } }) =>
        owner === method.owner && name === method.name && options.cache === method.options.cache,
    );
  if (![...modules.values()].some((module) => classesOf(module).some(isTwin))) return undefined;
  return `another class is called ${type.name} too, and each would answer what the other stored. Rename one of them`;
}

/** Why an instance may answer otherwise than others of its class; `undefined` if there is no other, ever. */
function whyNoSingleton(modules: ModulesContainer, self: object, type: Type): string | undefined {
  const wrappers = [...modules.values()].flatMap((module) =>
    wrappersOf(module).filter(({ metatype }) => metatype === type),
  );
  const [wrapper] = wrappers;
  if (wrapper === undefined) return `${type.name} is no provider of its own in any module`;
  if (wrappers.length > 1) return `${type.name} is provided ${wrappers.length} times in this app`;
  if (wrapper.isTransient) return `${type.name} is transient`;
  if (!wrapper.isDependencyTreeStatic()) return `${type.name} is made anew for each request`;
  return wrapper.instance === self ? undefined : `this is another ${type.name} than the one that Nest made`;
}

type AppModule = ModulesContainer extends Map<string, infer M> ? M : never;
type Wrapper = AppModule['providers'] extends Map<unknown, infer W> ? W : never;

function wrappersOf({ providers, controllers, injectables }: AppModule): readonly Wrapper[] {
  return [...providers.values(), ...controllers.values(), ...injectables.values()] as readonly Wrapper[];
}

function classesOf(module: AppModule): readonly Type[] {
  return wrappersOf(module)
    .map(({ metatype }) => metatype as unknown)
    .filter(
      (metatype): metatype is Type => typeof metatype === 'function' && metatype.prototype !== undefined,
    );
}
