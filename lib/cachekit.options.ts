import type { InjectionToken, ModuleMetadata, OptionalFactoryDependency, Type } from '@nestjs/common';
import type { CacheBackend } from './backends/cache-backend.js';
import { checkBackend, isBackend } from './core/check-backend.js';
import { CachekitConfigError } from './core/errors.js';
import { checkName } from './core/names.js';
import { checkOptionNames } from './core/option-names.js';
import { CACHE_OPTIONS, type CacheOptions, checkKind, resolveCacheOptions } from './core/options.js';
import { HTTP_OPTIONS, type HttpCacheOptions, resolveHttpOptions } from './http/options/http-options.js';

/** What can be set for a cache and its use over HTTP. */
export interface CachekitOptions extends CacheOptions, HttpCacheOptions {
  /** 1 to 64 of the characters A-Z a-z 0-9 _ . - Default: the unnamed cache, of which an app has one. */
  readonly name?: string;
  /** Whether an app whose cache can't be reached within 10 seconds refuses to start. Default: false. */
  readonly failFast?: boolean;
}

/** A backend with options, as `forRootAsync` takes them; the name is given beside it. */
export interface CachekitSetup extends Omit<CachekitOptions, 'name'> {
  readonly backend: CacheBackend;
}

/** A provider that makes the backend, for `forRootAsync({ useClass })` and `useExisting`. */
export interface CachekitOptionsFactory {
  createCachekitOptions(): CacheBackend | CachekitSetup | Promise<CacheBackend | CachekitSetup>;
}

/** How `forRootAsync` gets at the backend: exactly one of `useFactory`, `useClass` and `useExisting`. */
export interface CachekitAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** As in `forRoot`. */
  readonly name?: string;
  readonly inject?: readonly (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory?: (
    ...args: never[]
  ) => CacheBackend | CachekitSetup | Promise<CacheBackend | CachekitSetup>;
  readonly useClass?: Type<CachekitOptionsFactory>;
  readonly useExisting?: InjectionToken<CachekitOptionsFactory>;
}

const SETUP_OPTIONS = ['failFast', ...CACHE_OPTIONS, ...HTTP_OPTIONS];

const ASYNC_OPTIONS = [
  'name',
  'imports',
  'inject',
  'useFactory',
  'useClass',
  'useExisting',
] satisfies (keyof CachekitAsyncOptions)[];

/**
 * Checks what `forRoot` was given, and answers the name apart from the rest.
 *
 * @throws CachekitConfigError, RangeError for wrong options or something that is not a backend
 */
export function readOptions(
  backend: CacheBackend,
  options: CachekitOptions,
  place: string,
): { name: string | undefined; setup: CachekitSetup } {
  checkBackend(backend, place, 'Options come second: forRoot(backend, { ttl }).');
  refuseIsGlobal(options, place);
  checkOptionNames(options, ['name', ...SETUP_OPTIONS], place);
  const { name, ...rest } = options;
  checkCacheName(name, place);
  checkValues(rest, place);
  return { name, setup: { ...rest, backend } };
}

/**
 * Checks what `forRootAsync` was given, but for what its factory will answer.
 *
 * @throws CachekitConfigError
 */
export function checkAsyncOptions(options: CachekitAsyncOptions, place: string): void {
  refuseIsGlobal(options, place);
  const misplaced = SETUP_OPTIONS.find((name) => Object.hasOwn(options ?? {}, name));
  if (misplaced !== undefined) {
    throw new CachekitConfigError(
      `${place}: the option ${misplaced} belongs in what useFactory (or createCachekitOptions of a class) ` +
        `answers: { backend, ${misplaced} }.`,
    );
  }
  checkOptionNames(options, ASYNC_OPTIONS, place);
  checkCacheName(options.name, place);
  const { useFactory, useClass, useExisting } = options;
  const given = [useFactory, useClass, useExisting].filter((way) => way !== undefined);
  if (given.length !== 1) {
    throw new CachekitConfigError(`${place} needs exactly one of useFactory, useClass and useExisting.`);
  }
  if (useFactory !== undefined) checkKind(useFactory, 'function', 'useFactory', place);
}

/**
 * The setup that a factory answered, checked.
 *
 * @param factory what answered it, for the message: `useFactory`
 * @throws CachekitConfigError, RangeError
 */
export function readSetup(
  made: CacheBackend | CachekitSetup,
  factory: keyof CachekitOptionsFactory | 'useFactory',
  place: string,
): CachekitSetup {
  const setup = isBackend(made) || !isSetup(made) ? { backend: made } : made;
  checkBackend(setup.backend, place, `${factory} must answer a backend, or { backend, ttl, ... }.`);
  checkOptionNames(setup, ['backend', ...SETUP_OPTIONS], place);
  checkValues(setup, place);
  return setup;
}

function isSetup(made: unknown): made is CachekitSetup {
  return typeof made === 'object' && made !== null && Object.hasOwn(made, 'backend');
}

function checkCacheName(name: string | undefined, place: string): void {
  if (name !== undefined) checkName(name, `${place}: the name`);
}

function checkValues(options: Omit<CachekitSetup, 'backend'>, place: string): void {
  resolveCacheOptions(options, place);
  checkKind(options.failFast ?? false, 'boolean', 'failFast', place);
  resolveHttpOptions(options, place);
}

/** Many modules have this option, @nestjs/cache-manager's among them. */
function refuseIsGlobal(options: object | null, place: string): void {
  if (!Object.hasOwn(options ?? {}, 'isGlobal')) return;
  throw new CachekitConfigError(`${place}: the module is always global. Leave isGlobal out.`);
}
