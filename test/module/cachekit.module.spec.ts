import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  BackendTimeoutError,
  CacheBackend,
  Cached,
  CachekitConfigError,
  CachekitModule,
  type CachekitOptions,
  type CachekitOptionsFactory,
  CacheService,
  getBackendToken,
  getCacheToken,
  InjectCache,
  InMemoryBackend,
  type Ttl,
} from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describe, expect, it } from 'vitest';

@Injectable()
class Users {
  constructor(
    @Inject(CacheService) readonly cache: CacheService,
    @Inject(CacheBackend) readonly backend: CacheBackend,
  ) {}
}

/** Counts its openings and closings; everything else is the real thing. */
class CountingBackend extends InMemoryBackend {
  opened = 0;
  closed = 0;

  override async open(): Promise<void> {
    this.opened++;
  }

  override async close(): Promise<void> {
    this.closed++;
    await super.close();
  }
}

class UnreachableBackend extends InMemoryBackend {
  override open(): Promise<void> {
    return Promise.reject(new Error('connection refused'));
  }
}

describe('CachekitModule.forRoot', () => {
  it('gives a service on an in-memory backend when it is given nothing', async () => {
    const app = await Test.createTestingModule({
      imports: [CachekitModule.forRoot()],
      providers: [Users],
    }).compile();
    const { cache, backend } = app.get(Users);
    await cache.set('key', { a: 1 });
    expect(await cache.get('key')).toEqual({ a: 1 });
    expect(backend).toBeInstanceOf(InMemoryBackend);
    await app.close();
  });

  it('is global: a module that imports nothing injects the cache', async () => {
    @Module({ providers: [Users], exports: [Users] })
    class UsersModule {}
    const backend = new InMemoryBackend();
    const app = await Test.createTestingModule({
      imports: [UsersModule, CachekitModule.forRoot(backend)],
    }).compile();
    expect(app.get(Users).backend).toBe(backend);
    await app.close();
  });

  it('lets a test override the backend, and then never opens the one it was given', async () => {
    const [given, fake] = [new CountingBackend(), new CountingBackend()];
    const app = await Test.createTestingModule({
      imports: [CachekitModule.forRoot(given)],
      providers: [Users],
    })
      .overrideProvider(CacheBackend)
      .useValue(fake)
      .compile();
    await app.init();
    await app.get(CacheService).set('key', 1);
    expect(fake.get('v:key')).toBeDefined();
    await app.close();
    expect([given.opened, given.closed, fake.opened, fake.closed]).toEqual([0, 0, 1, 1]);
  });

  it('keeps named caches apart', async () => {
    @Injectable()
    class Sessions {
      constructor(
        @InjectCache('sessions') readonly sessions: CacheService,
        @InjectCache() readonly main: CacheService,
      ) {}
    }
    const app = await Test.createTestingModule({
      imports: [
        CachekitModule.forRoot(),
        CachekitModule.forRoot(new InMemoryBackend(), { name: 'sessions', ttl: '1h' }),
      ],
      providers: [Sessions],
    }).compile();
    const { sessions, main } = app.get(Sessions);
    await sessions.set('key', 'session');
    expect(await main.get('key')).toBeUndefined();
    expect(await sessions.ttl('key')).toBeGreaterThan(3_000);
    expect(app.get(getCacheToken('sessions'))).toBe(sessions);
    expect(app.get(getBackendToken('sessions'))).not.toBe(app.get(CacheBackend));
    await app.close();
  });

  it.each([[[{}, {}]], [[{ name: 'a' }, { name: 'a' }]]])(
    'twice with the same name is a start error: %j',
    async (options) => {
      const imports = options.map((one) => CachekitModule.forRoot(new InMemoryBackend(), one));
      const app = await Test.createTestingModule({ imports }).compile();
      await expect(app.init()).rejects.toThrow(/two .*caches?.*forRoot once/s);
    },
  );

  it.each([[[{}, { name: 'b' }]], [[{ name: 'a' }, { name: 'b' }]]])(
    'twice with the same backend is a start error: %j',
    async (options) => {
      const backend = new InMemoryBackend();
      const imports = options.map((one) => CachekitModule.forRoot(backend, one));
      const app = await Test.createTestingModule({ imports }).compile();
      await expect(app.init()).rejects.toThrow(CachekitConfigError);
      await expect(app.init()).rejects.toThrow(
        /the (unnamed cache|cache "a") and the cache "b" have the same backend.*namespace of its own/,
      );
    },
  );

  it.each<[string, CachekitOptions, ErrorConstructor | typeof CachekitConfigError, RegExp]>([
    ['ttl', { ttl: '5x' as Ttl }, RangeError, /CachekitModule\.forRoot: ttl "5x".*'30s'/],
    ['ttl', { ttl: -1 }, RangeError, /CachekitModule\.forRoot: ttl -1/],
    ['loadTimeout', { loadTimeout: 0 }, RangeError, /loadTimeout 0 is out of range/],
    ['loadTimeout', { loadTimeout: Infinity }, RangeError, /loadTimeout Infinity/],
    ['name', { name: 'a b' }, CachekitConfigError, /the name "a b" is not allowed/],
    ['onEvent', { onEvent: 'log' as never }, CachekitConfigError, /onEvent must be a function/],
    ['isolate', { isolate: 1 as never }, CachekitConfigError, /isolate must be a boolean/],
    ['serializer', { serializer: {} as never }, CachekitConfigError, /serialize and deserialize/],
    ['failFast', { failFast: 'no' as never }, CachekitConfigError, /failFast must be a boolean/],
    ['everything', null as never, CachekitConfigError, /options must be an object/],
    ['everything', 5 as never, CachekitConfigError, /options must be an object/],
    ['an unknown option', { tll: 5 } as CachekitOptions, CachekitConfigError, /unknown option "tll".*ttl/],
    ['an option', { backend: 5 } as CachekitOptions, CachekitConfigError, /unknown option "backend"/],
    ['an option', { isGlobal: true } as CachekitOptions, CachekitConfigError, /always global.*isGlobal/],
  ])('refuses a wrong %s where it is given: %j', (_name, options, type, message) => {
    const define = (): unknown => CachekitModule.forRoot(new InMemoryBackend(), options);
    expect(define).toThrow(type as ErrorConstructor);
    expect(define).toThrow(message);
  });

  it.each([
    [{}, /this is not a cache backend\. A backend is an instance such as/],
    [null, /not a cache backend/],
    ['redis://localhost', /not a cache backend/],
    [new Map(), /not a cache backend, it lacks getMany/],
    [{ ttl: 5 }, /Options come second: forRoot\(backend, \{ ttl \}\)/],
    [InMemoryBackend, /class InMemoryBackend, not an instance.*new InMemoryBackend/s],
  ])('refuses what is not a backend: %j', (wrong, message) => {
    expect(() => CachekitModule.forRoot(wrong as CacheBackend)).toThrow(CachekitConfigError);
    expect(() => CachekitModule.forRoot(wrong as CacheBackend)).toThrow(message);
  });

  it('starts an app whose backend is away, and says so in an event', async () => {
    const events: unknown[] = [];
    const imports = [
      CachekitModule.forRoot(new UnreachableBackend(), { onEvent: (event) => events.push(event) }),
    ];
    const app = await Test.createTestingModule({ imports }).compile();
    await app.init();
    expect(events).toMatchObject([
      { type: 'error', operation: 'open', error: { message: 'connection refused' } },
    ]);
    await app.close();
  });

  it('starts no app whose backend is away with failFast', async () => {
    const imports = [CachekitModule.forRoot(new UnreachableBackend(), { failFast: true })];
    const app = await Test.createTestingModule({ imports }).compile();
    await expect(app.init()).rejects.toThrow('connection refused');
  });

  it('promises nothing of a backend without which it does not start', async () => {
    const backend = new RedisBackend({ url: 'redis://127.0.0.1:1' });
    const imports = [CachekitModule.forRoot(backend, { failFast: true })];
    const app = await Test.createTestingModule({ imports }).compile();
    await expect(app.init()).rejects.toThrow(/no connection to 127\.0\.0\.1:1 .* and TLS are right\.$/);
  });

  it('starts an app whose backend does not answer, after a moment', async () => {
    const silent = new InMemoryBackend();
    silent.open = () => new Promise(() => undefined);
    const events: unknown[] = [];
    const imports = [CachekitModule.forRoot(silent, { onEvent: (event) => events.push(event) })];
    const app = await Test.createTestingModule({ imports }).compile();
    await app.init();
    expect(events).toMatchObject([{ operation: 'open', error: expect.any(BackendTimeoutError) }]);
    await app.close();
  });
});

describe('CachekitModule.forRootAsync', () => {
  @Injectable()
  class Config implements CachekitOptionsFactory {
    readonly ttl = '5m';

    createCachekitOptions(): CacheBackend {
      return new InMemoryBackend();
    }
  }

  @Module({ providers: [Config], exports: [Config] })
  class ConfigModule {}

  it('takes a factory that answers a backend, or a backend with options', async () => {
    for (const bare of [true, false]) {
      const module = CachekitModule.forRootAsync({
        imports: [ConfigModule],
        inject: [Config],
        useFactory: ({ ttl }: Config) =>
          bare ? new InMemoryBackend() : { backend: new InMemoryBackend(), ttl: ttl as Ttl },
      });
      const app = await Test.createTestingModule({ imports: [module] }).compile();
      const cache = app.get(CacheService);
      await cache.set('key', 1);
      expect(await cache.ttl('key')).toBeGreaterThan(bare ? 50 : 290);
      await app.close();
    }
  });

  it('takes a class, or a provider that is already there', async () => {
    for (const way of [{ useClass: Config }, { imports: [ConfigModule], useExisting: Config }]) {
      const app = await Test.createTestingModule({ imports: [CachekitModule.forRootAsync(way)] }).compile();
      expect(app.get(CacheBackend)).toBeInstanceOf(InMemoryBackend);
      await app.close();
    }
  });

  it('takes a backend that wraps another in a property of that name for what it is', async () => {
    class Logging extends CountingBackend {
      readonly backend = new InMemoryBackend();
    }
    const module = CachekitModule.forRootAsync({ useFactory: () => new Logging() });
    const app = await Test.createTestingModule({ imports: [module] }).compile();
    expect(app.get(CacheBackend)).toBeInstanceOf(Logging);
    await app.close();
  });

  it.each([
    [{ ttl: 5 }, 'this is not a cache backend'],
    [{ store: 'redis' }, 'this is not a cache backend'],
    [{ backend: {}, ttl: 5 }, 'this is not a cache backend'],
    [undefined, 'undefined is not a cache backend'],
    [InMemoryBackend, 'got the class InMemoryBackend, not an instance'],
  ])(
    'refuses what the factory answers if it is no backend, when the app starts: %j',
    async (made, message) => {
      const module = CachekitModule.forRootAsync({ useFactory: () => made as never });
      const compiling = Test.createTestingModule({ imports: [module] }).compile();
      await expect(compiling).rejects.toThrow(CachekitConfigError);
      await expect(compiling).rejects.toThrow(`CachekitModule.forRootAsync: ${message}`);
    },
  );

  it('says what a factory, or a class, must answer', async () => {
    @Injectable()
    class Forgetful {
      createCachekitOptions(): undefined {}
    }
    const ways = { useFactory: () => undefined as never, createCachekitOptions: undefined };
    for (const [method, useFactory] of Object.entries(ways)) {
      const options = useFactory === undefined ? { useClass: Forgetful as never } : { useFactory };
      const imports = [CachekitModule.forRootAsync(options)];
      await expect(Test.createTestingModule({ imports }).compile()).rejects.toThrow(
        `${method} must answer a backend, or { backend, ttl, ... }.`,
      );
    }
  });

  it('refuses no way, and two ways', () => {
    expect(() => CachekitModule.forRootAsync({})).toThrow(
      /exactly one of useFactory, useClass and useExisting/,
    );
    expect(() => CachekitModule.forRootAsync({ useClass: Config, useExisting: Config })).toThrow(
      CachekitConfigError,
    );
    expect(() => CachekitModule.forRootAsync({ useFactory: 5 as never })).toThrow(
      /useFactory must be a function/,
    );
  });

  it.each([
    [
      { ttl: '5m' },
      'the option ttl belongs in what useFactory (or createCachekitOptions of a class) answers',
    ],
    [{ failFast: true }, '{ backend, failFast }'],
    [{ isGlobal: true }, 'the module is always global. Leave isGlobal out'],
    [{ backend: new InMemoryBackend() }, 'unknown option "backend"'],
    [{ name: 'a b' }, 'the name "a b" is not allowed'],
  ])('refuses %j beside the factory', (options, message) => {
    const define = (): unknown => CachekitModule.forRootAsync({ useClass: Config, ...options } as never);
    expect(define).toThrow(CachekitConfigError);
    expect(define).toThrow(message);
  });
});

describe('An app', () => {
  it('opens its backend when it starts and closes it when it stops, as often as it does', async () => {
    const backend = new CountingBackend();
    for (let round = 1; round <= 2; round++) {
      const app = await Test.createTestingModule({ imports: [CachekitModule.forRoot(backend)] }).compile();
      await app.init();
      await app.get(CacheService).set('key', round);
      expect(await app.get(CacheService).get('key')).toBe(round);
      await app.close();
      expect([backend.opened, backend.closed]).toEqual([round, round]);
    }
  });

  it('leaves a backend that it shares with another app open until that one stops', async () => {
    const backend = new CountingBackend();
    const start = async () =>
      (await Test.createTestingModule({ imports: [CachekitModule.forRoot(backend)] }).compile()).init();
    const [first, second] = [await start(), await start()];
    await first.close();
    expect(backend.closed).toBe(0);
    await second.close();
    expect(backend.closed).toBe(1);
  });

  it('that was compiled and used, but never started, closes its backend too', async () => {
    const backend = new CountingBackend();
    const app = await Test.createTestingModule({ imports: [CachekitModule.forRoot(backend)] }).compile();
    await app.get(CacheService).set('key', 1);
    await app.close();
    expect(backend.closed).toBe(1);
  });

  it('starts and answers with something else in the place of its CacheService', async () => {
    @Controller()
    class CatsController {
      @Get('cats')
      @Cached('1m')
      find(): string {
        return 'Tom';
      }
    }
    const imports = [CachekitModule.forRoot(new UnreachableBackend())];
    const module = await Test.createTestingModule({ imports, controllers: [CatsController] })
      .overrideProvider(CacheService)
      .useValue({ get: () => undefined })
      .compile();
    const app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    const answer = await fetch(`${await app.getUrl()}/cats`);
    expect([answer.status, await answer.text()]).toEqual([200, 'Tom']);
    await app.close();
  });

  it('stops also when its backend does not close', async () => {
    const stuck = new InMemoryBackend();
    stuck.close = () => Promise.reject(new Error('stuck'));
    const app = await Test.createTestingModule({ imports: [CachekitModule.forRoot(stuck)] }).compile();
    await app.init();
    await app.close();
  });

  it('closes its backend after the last shutdown hook that still uses it', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Worker {
      constructor(@Inject(CacheService) private readonly cache: CacheService) {}

      async onModuleDestroy(): Promise<void> {
        seen.push(await this.cache.get('key'));
      }

      async beforeApplicationShutdown(): Promise<void> {
        seen.push(await this.cache.get('key'));
      }
    }
    const imports = [CachekitModule.forRoot()];
    const app = await Test.createTestingModule({ imports, providers: [Worker] }).compile();
    await app.init();
    await app.get(CacheService).set('key', 'there');
    await app.close();
    expect(seen).toEqual(['there', 'there']);
  });
});
