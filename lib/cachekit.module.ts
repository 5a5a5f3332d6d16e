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
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import type { CacheBackend } from './backends/cache-backend.js';
import { InMemoryBackend } from './backends/in-memory.backend.js';
import {
  type CachekitAsyncOptions,
  type CachekitOptions,
  type CachekitOptionsFactory,
  type CachekitSetup,
  checkAsyncOptions,
  readOptions,
  readSetup,
} from './cachekit.options.js';
import { BackendLifecycle } from './core/backend-lifecycle.js';
import { CacheService } from './core/cache.service.js';
import type { CacheEventListener } from './core/events.js';
import { FailureLog } from './core/failure-log.js';
import { CACHE_OPTIONS } from './core/options.js';
import { checkApart, RegisteredCache } from './core/registered-cache.js';
import { getBackendToken, getCacheToken } from './core/tokens.js';
import { CachekitHealthIndicator } from './health/cachekit.health-indicator.js';
import { cacheInheritingControllers } from './http/handlers/class-level.js';
import { checkHandlers } from './http/handlers/handler-checks.js';
import { getHttpOptionsToken, resolveHttpOptions } from './http/options/http-options.js';
import { placeEvictions } from './http/placement/evict-placement.js';
import { placeCache } from './http/placement/placement.js';
import { checkMethods } from './methods/method-checks.js';

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
    const { name, setup } = readOptions(backend, options, place);
    return cacheModule(name, place, [], { useValue: setup });
  }

  /**
   * Registers a cache whose backend needs other providers, such as a `ConfigService`. What the factory answers is
   * checked when the app starts.
   *
   * @throws CachekitConfigError for wrong options
   */
  static forRootAsync(options: CachekitAsyncOptions): DynamicModule {
    const place = 'CachekitModule.forRootAsync';
    checkAsyncOptions(options, place);
    const { name, imports = [], useClass } = options;
    const module = cacheModule(name, place, imports, asyncSetup(options, place));
    if (useClass === undefined) return module;
    return { ...module, providers: [...(module.providers ?? []), useClass] };
  }

  /** Nest copies the lists of interceptors into its routes right after this: the last moment to take one's place. */
  configure(): void {
    cacheInheritingControllers(this.moduleRef);
    placeCache(this.moduleRef);
    placeEvictions(this.moduleRef);
  }

  /**
   * @throws CachekitConfigError for caches that share a name or a backend, and for decorators that can't work where
   *   they are
   */
  onModuleInit(): void {
    checkHandlers(this.moduleRef);
    checkMethods(this.moduleRef);
    const own = [...this.modules.values()].filter(({ metatype }) => metatype === CachekitModule);
    const registered: unknown[] = own.map(({ providers }) => providers.get(RegisteredCache)?.instance);
    checkApart(registered.filter((cache) => cache instanceof RegisteredCache));
  }
}

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
  const setupToken = `cachekit:${name ?? ''}:setup`;
  const backendToken = getBackendToken(name);
  const cacheToken = getCacheToken(name);
  const log = new FailureLog(name === undefined ? 'the cache' : `the cache "${name}"`);
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
      inject: [backendToken, cacheToken, setupToken],
      useFactory: (backend: CacheBackend, cache: unknown, setup: CachekitSetup) =>
        new BackendLifecycle(backend, setup.failFast ?? false, tellBoth(log, setup), drainOf(cache)),
    },
    CachekitHealthIndicator,
    {
      provide: RegisteredCache,
      inject: [backendToken],
      useFactory: (backend: CacheBackend) => new RegisteredCache(backend, name),
    },
  ];
  const exports = [backendToken, cacheToken, CachekitHealthIndicator];
  return { module: CachekitModule, global: true, imports, providers, exports };
}

function createCache(backend: CacheBackend, setup: CachekitSetup, log: FailureLog): CacheService {
  const given = Object.entries(setup).filter(([option]) => CACHE_OPTIONS.some((name) => name === option));
  return new CacheService(backend, { ...Object.fromEntries(given), onEvent: tellBoth(log, setup) });
}

/** A test may have put something else in the place of the service. */
function drainOf(cache: unknown): (atMostMs: number) => Promise<void> {
  return cache instanceof CacheService ? (atMostMs) => cache.engine.drain(atMostMs) : () => Promise.resolve();
}

/** Answers what the app's listener answers: it may be a promise that rejects. */
function tellBoth(log: FailureLog, { onEvent }: CachekitSetup): CacheEventListener {
  return (event) => {
    log.onEvent(event);
    return onEvent?.(event);
  };
}

function asyncSetup(
  { inject = [], useFactory, useClass, useExisting }: CachekitAsyncOptions,
  place: string,
): SetupProvider {
  if (useFactory !== undefined) {
    return {
      inject: [...inject],
      useFactory: async (...args) => readSetup(await useFactory(...args), 'useFactory', place),
    };
  }
  const factory = (useExisting ?? useClass) as InjectionToken<CachekitOptionsFactory>;
  const useOptionsFactory = async (options: CachekitOptionsFactory): Promise<CachekitSetup> =>
    readSetup(await options.createCachekitOptions(), 'createCachekitOptions', place);
  return { inject: [factory], useFactory: useOptionsFactory };
}
