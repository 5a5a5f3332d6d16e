import {
  type DynamicModule,
  Inject,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type NestModule,
  type OnModuleInit,
  type OptionalFactoryDependency,
  type Provider,
  type Type,
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import type { CacheBackend } from './backends/cache-backend.js';
import { InMemoryBackend } from './backends/in-memory.backend.js';
import { BackendLifecycle } from './core/backend-lifecycle.js';
import { CacheService } from './core/cache.service.js';
import { checkBackend, isBackend } from './core/check-backend.js';
import { CachekitConfigError } from './core/errors.js';
import type { CacheEventListener } from './core/events.js';
import { FailureLog } from './core/failure-log.js';
import { checkName } from './core/names.js';
import { checkOptionNames } from './core/option-names.js';
import { CACHE_OPTIONS, type CacheOptions, checkKind, resolveCacheOptions } from './core/options.js';
import { getBackendToken, getCacheToken } from './core/tokens.js';
import { checkHandlers } from './http/handler-checks.js';
import {
  getHttpOptionsToken,
  HTTP_OPTIONS,
  type HttpCacheOptions,
  resolveHttpOptions,
} from './http/http-options.js';
import { placeCache } from './http/placement.js';

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

/** Gives an app its caches: import `CachekitModule.forRoot(...)` once for each. Global. */
@Module({})
export class CachekitModule implements NestModule, OnModuleInit {
  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
  ) {}

  /**
   * Registers a cache.
   *
   * @param backend where its entries lie. Default: a new `InMemoryBackend()`
   * @throws CachekitConfigError, RangeError for wrong options or something that is not a backend
   */
  static forRoot(
    backend: CacheBackend = new InMemoryBackend(),
    options: CachekitOptions = {},
  ): DynamicModule {
    const place = 'CachekitModule.forRoot';
    checkOptionNames(options, ['name', ...SETUP_OPTIONS], place);
    const { name, ...rest } = options;
    checkSetup({ ...rest, backend }, place);
    return cacheModule(name, place, [], { useValue: { ...rest, backend } });
  }

  /** Registers a cache whose backend needs other providers, such as a `ConfigService`. */
  static forRootAsync(options: CachekitAsyncOptions): DynamicModule {
    checkOptionNames(options, ASYNC_OPTIONS, 'CachekitModule.forRootAsync');
    const { name, imports = [] } = options;
    const module = cacheModule(name, 'CachekitModule.forRootAsync', imports, asyncSetup(options));
    if (options.useClass === undefined) return module;
    return { ...module, providers: [...(module.providers ?? []), options.useClass] };
  }

  /** Nest copies the lists of interceptors into its routes right after this: the last moment to take one's place. */
  configure(): void {
    placeCache(this.moduleRef);
  }

  /**
   * @throws CachekitConfigError for two caches with the same name, or two unnamed ones, and for decorators that can't
   *   work where they are
   */
  onModuleInit(): void {
    checkHandlers(this.moduleRef);
    const seen = new Set<InjectionToken>();
    for (const { metatype, providers } of this.modules.values()) {
      if (metatype !== CachekitModule) continue;
      for (const token of providers.keys()) {
        if (isCacheToken(token) && seen.has(token)) throw twice(token);
        seen.add(token);
      }
    }
  }
}

const SETUP_OPTIONS = ['backend', 'failFast', ...CACHE_OPTIONS, ...HTTP_OPTIONS];

const ASYNC_OPTIONS = [
  'name',
  'imports',
  'inject',
  'useFactory',
  'useClass',
  'useExisting',
] satisfies (keyof CachekitAsyncOptions)[];

type SetupProvider =
  | { useValue: CachekitSetup }
  | {
      inject: (InjectionToken | OptionalFactoryDependency)[];
      useFactory: (...args: never[]) => Promise<CachekitSetup>;
    };

function cacheModule(
  name: string | undefined,
  place: string,
  imports: NonNullable<ModuleMetadata['imports']>,
  setup: SetupProvider,
): DynamicModule {
  if (name !== undefined) checkName(name, `${place}: the name`);
  const label = name === undefined ? 'the cache' : `the cache "${name}"`;
  const setupToken = `cachekit:${name ?? ''}:setup`;
  const backendToken = getBackendToken(name);
  const cacheToken = getCacheToken(name);
  const log = new FailureLog(label);
  const providers: Provider[] = [
    { provide: setupToken, ...setup },
    { provide: backendToken, inject: [setupToken], useFactory: ({ backend }: CachekitSetup) => backend },
    {
      provide: cacheToken,
      inject: [backendToken, setupToken],
      useFactory: (backend: CacheBackend, options: CachekitSetup) => createCache(backend, options, log),
    },
    {
      provide: getHttpOptionsToken(name),
      inject: [setupToken],
      useFactory: (options: CachekitSetup) => resolveHttpOptions(options, place),
    },
    {
      provide: `cachekit:${name ?? ''}:lifecycle`,
      inject: [backendToken, setupToken],
      useFactory: (backend: CacheBackend, setup: CachekitSetup) =>
        new BackendLifecycle(backend, setup.failFast ?? false, tellBoth(log, setup)),
    },
  ];
  return { module: CachekitModule, global: true, imports, providers, exports: [backendToken, cacheToken] };
}

function createCache(backend: CacheBackend, setup: CachekitSetup, log: FailureLog): CacheService {
  const given = Object.entries(setup).filter(([option]) => CACHE_OPTIONS.some((name) => name === option));
  return new CacheService(backend, { ...Object.fromEntries(given), onEvent: tellBoth(log, setup) });
}

/** Answers what the app's listener answers: it may be a promise that rejects. */
function tellBoth(log: FailureLog, { onEvent }: CachekitSetup): CacheEventListener {
  return (event) => {
    log.onEvent(event);
    return onEvent?.(event);
  };
}

function asyncSetup({ inject = [], useFactory, useClass, useExisting }: CachekitAsyncOptions): SetupProvider {
  const place = 'CachekitModule.forRootAsync';
  const given = [useFactory, useClass, useExisting].filter((way) => way !== undefined);
  if (given.length !== 1) {
    throw new CachekitConfigError(`${place} needs exactly one of useFactory, useClass and useExisting.`);
  }
  if (useFactory !== undefined) {
    checkKind(useFactory, 'function', 'useFactory', place);
    return { inject: [...inject], useFactory: async (...args) => toSetup(await useFactory(...args), place) };
  }
  const factory = (useExisting ?? useClass) as InjectionToken<CachekitOptionsFactory>;
  const useOptionsFactory = async (options: CachekitOptionsFactory): Promise<CachekitSetup> =>
    toSetup(await options.createCachekitOptions(), place);
  return { inject: [factory], useFactory: useOptionsFactory };
}

function toSetup(made: CacheBackend | CachekitSetup, place: string): CachekitSetup {
  const setup = isBackend(made) || !isSetup(made) ? { backend: made } : made;
  checkSetup(setup, place);
  return setup;
}

function isSetup(made: unknown): made is CachekitSetup {
  return typeof made === 'object' && made !== null && Object.hasOwn(made, 'backend');
}

function checkSetup(setup: CachekitSetup, place: string): void {
  checkBackend(setup.backend, place);
  checkOptionNames(setup, SETUP_OPTIONS, place);
  resolveCacheOptions(setup, place);
  checkKind(setup.failFast ?? false, 'boolean', 'failFast', place);
  resolveHttpOptions(setup, place);
}

function isCacheToken(token: InjectionToken): boolean {
  return token === CacheService || (typeof token === 'string' && token.endsWith(':service'));
}

function twice(token: InjectionToken): CachekitConfigError {
  const which =
    typeof token === 'string' ? `two caches named "${token.split(':')[1]}"` : 'two unnamed caches';
  return new CachekitConfigError(
    `CachekitModule: this app has ${which}. Import forRoot once, in the root module; give a second cache ` +
      "a name of its own: forRoot(backend, { name: 'sessions' }).",
  );
}
