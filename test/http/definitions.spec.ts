import { Controller, Get, Post, Sse, type Type, UseInterceptors } from '@nestjs/common';
import {
  Cached,
  type CachedOptions,
  CacheEvict,
  type CacheEvictOptions,
  CachekitConfigError,
  CachekitModule,
  type CachekitOptions,
  type HttpRequest,
} from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { PLATFORMS, serve } from './serve.js';

const cachedWith = (options: unknown) => (): void => {
  class CatsController {
    @Cached(options as CachedOptions)
    find(): void {}
  }
  void CatsController;
};

const evictWith = (options: unknown) => (): void => {
  class CatsController {
    @CacheEvict(options as CacheEvictOptions)
    update(): void {}
  }
  void CatsController;
};

describe('@Cached is checked when its class is defined:', () => {
  it.each([-1, Number.NaN, '5x', '-5s', '', '1 m', {}, [], null, true, Symbol('5')].map((ttl) => [ttl]))(
    'the ttl %j is refused',
    (ttl) => {
      expect(cachedWith({ ttl })).toThrow(RangeError);
      expect(cachedWith({ ttl })).toThrow(/^@Cached on CatsController\.find: ttl .* '250ms', '30s'/);
    },
  );

  it('an impossible ttl without options is refused as well', () => {
    expect(cachedWith(-1)).toThrow(RangeError);
    expect(cachedWith('5x')).toThrow(/CatsController\.find/);
  });

  it.each([
    [
      { tll: 5 },
      /unknown option "tll".*The options are ttl, staleWhileRevalidate, staleIfError, lock, key, query/,
    ],
    [{ key: 5 }, /key must be a text/],
    [{ key: [1] }, /key must be/],
    [{ query: 'page' }, /query must be an array/],
    [{ vary: 'accept' }, /vary must be an array of header names/],
    [{ vary: ['*'] }, /vary must be/],
    [{ vary: ['a b'] }, /vary must be/],
    [{ tags: 'cats' }, /tags must be an array/],
    [{ tags: Array.from({ length: 65 }, (_, index) => `${index}`) }, /65 tags are too many/],
    [{ scope: 'shared' }, /scope must be 'auto', 'public' or 'private', not "shared"/],
    [{ when: true }, /when must be a function/],
    [{ unless: 'empty' }, /unless must be a function/],
    [{ headers: 'x-total' }, /headers must be an array of header names/],
    [{ headers: ['X-Total', 'Set-Cookie'] }, /headers names set-cookie, which can not be stored/],
    [{ headers: ['content-length'] }, /headers names content-length/],
    [{ headers: ['Content-Encoding'] }, /headers names content-encoding/],
    [{ headers: ['WWW-Authenticate'] }, /headers names www-authenticate/],
    [{ headers: ['Access-Control-Allow-Origin'] }, /headers names access-control-allow-origin/],
    [{ cacheControl: 60 }, /cacheControl must be true, false, or what the header shall say/],
    [{ cacheControl: 'public\r\nSet-Cookie: a=1' }, /cacheControl must be/],
    [{ cacheControl: '' }, /cacheControl must be/],
    [{ body: 'json' }, /body must be 'text' or 'value', not "json"/],
    [{ cache: '' }, /cache must be the name/],
    [null, /options must be an object/],
    [[], /options must be an object/],
  ])('the options %j are refused', (options, message) => {
    expect(cachedWith(options)).toThrow(CachekitConfigError);
    expect(cachedWith(options)).toThrow(message);
    expect(cachedWith(options)).toThrow('@Cached on CatsController.find: ');
  });

  it('a static method, a property and a symbol are refused', () => {
    const decorator = Cached() as (...place: unknown[]) => void;
    class CatsController {
      static all(): void {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(CatsController, 'all');
    expect(() => decorator(CatsController, 'all', descriptor)).toThrow(/static method CatsController\.all/);
    expect(() => decorator(CatsController.prototype, 'name', undefined)).toThrow(CachekitConfigError);
    expect(() => decorator(CatsController.prototype, 'name', { get: () => 1 })).toThrow(/not on properties/);
    expect(() => decorator(CatsController.prototype, Symbol('find'), { value: () => 1 })).toThrow(/a symbol/);
  });

  it.each([
    ['@Cached', Cached, '@Cached()'],
    ['@CacheEvict', CacheEvict, "@CacheEvict({ tags: ['...'] })"],
  ])('%s without its parentheses is refused', (name, factory, example) => {
    // Whatever decorators the compiler makes of it.
    const bare = factory as unknown as (...given: unknown[]) => unknown;
    const missing = 'its parentheses are missing, write';
    class CatsController {}
    const decorate = (): unknown => {
      class DogsController {
        @(bare as MethodDecorator)
        find(): void {}
      }
      return DogsController;
    };
    const find = (): void => undefined;
    expect(decorate).toThrow(CachekitConfigError);
    expect(decorate).toThrow(`${name} on DogsController.find: ${missing} ${example}.`);
    expect(() => bare(find, { kind: 'method', name: 'find' })).toThrow(`${name} on find: ${missing}`);
    expect(() => bare(CatsController)).toThrow(`${name} on CatsController: ${missing}`);
    expect(() => bare(CatsController.prototype, Symbol('field'))).toThrow(missing);
  });

  it('two on one method are refused, and one beside @CacheEvict', () => {
    class CatsController {}
    const apply = (...decorators: MethodDecorator[]): void => {
      const method = { value: () => 1 };
      for (const decorator of decorators) decorator(CatsController.prototype, 'find', method);
    };
    expect(() => apply(Cached(), Cached('1m'))).toThrow('@Cached on CatsController.find: there are two');
    expect(() => apply(Cached(), CacheEvict({ tags: ['a'] }))).toThrow(/split it in two/);
    expect(() => apply(CacheEvict({ tags: ['a'] }), Cached())).toThrow(/split it in two/);
  });
});

describe('@CacheEvict is checked when its class is defined:', () => {
  it.each([
    [{}, /Give \{ tags: \['\.\.\.'\] \}/],
    [{ tags: [] }, /evict nothing/],
    [{ tags: 'cats' }, /tags must be an array/],
    [
      { tags: ['a'], key: 'b' },
      /unknown option "key".*The options are tags, method, args, all, before, cache/,
    ],
    [{ tags: ['a'], cache: '' }, /cache must be the name/],
    [undefined, /Give \{ tags: \['\.\.\.'\] \}/],
    [null, /Give \{ tags/],
    [{ tag: 'a' }, /unknown option "tag"/],
    [{ all: true, tags: ['a'] }, /all evicts everything/],
    [{ all: 'yes' }, /all must be a boolean/],
    [{ all: true, before: 1 }, /before must be a boolean/],
    [{ method: '' }, /method must be the name/],
    [{ tags: ['a'], args: () => [] }, /args needs the option method/],
    [{ method: 'find', args: ['1'] }, /args must be a function/],
    ['cats', /options must be an object/],
  ])('the options %j are refused', (options, message) => {
    expect(evictWith(options)).toThrow(CachekitConfigError);
    expect(evictWith(options)).toThrow(message);
    expect(evictWith(options)).toThrow('@CacheEvict on CatsController.update: ');
  });
});

describe('CachekitModule.forRoot checks what it is told of HTTP:', () => {
  it.each<[unknown, RegExp]>([
    [{ scope: 'shared' }, /scope must be/],
    [{ scope: 'private' }, /scope 'private' needs to know who.*identify/],
    [{ identify: 'user' }, /identify must be a function/],
    [{ secret: 'short' }, /at least 16 characters/],
    [{ credentials: 'cookie' }, /credentials must be an array/],
    [{ credentials: ['a:b'] }, /credentials must be an array of header names, such as \['cookie', /],
  ])('the options %j are refused', (options, message) => {
    expect(() => CachekitModule.forRoot(undefined, options as CachekitOptions)).toThrow(CachekitConfigError);
    expect(() => CachekitModule.forRoot(undefined, options as CachekitOptions)).toThrow(message);
  });

  it('the example in the message about identify is one that compiles', () => {
    interface RequestWithUser extends HttpRequest {
      user?: { id: string };
    }
    const identify = (request: RequestWithUser): string | undefined => request.user?.id;
    expect(() => CachekitModule.forRoot(undefined, { scope: 'private', identify })).not.toThrow();
    expect(() => CachekitModule.forRoot(undefined, { scope: 'private' })).toThrow(
      'identify: (request: RequestWithUser) => request.user?.id, ' +
        'with interface RequestWithUser extends HttpRequest { user?: { id: string } }',
    );
  });
});

describe.each(PLATFORMS)('On %s an app does not start', (platform) => {
  function controllerWith(...decorators: MethodDecorator[]): Type {
    @Controller()
    class CatsController {
      find(): string {
        return 'cats';
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(
      CatsController.prototype,
      'find',
    ) as PropertyDescriptor;
    for (const decorator of decorators) decorator(CatsController.prototype, 'find', descriptor);
    return CatsController;
  }

  it.each<[string, MethodDecorator[], RegExp]>([
    [
      'a private scope without identify',
      [Get(), Cached({ scope: 'private' })],
      /@Cached on CatsController\.find: .*identify/,
    ],
    ['a cache that it lacks', [Get(), Cached({ cache: 'other' })], /no cache named "other".*forRoot/],
    [
      'an eviction in a cache that it lacks',
      [Post(), CacheEvict({ tags: ['a'], cache: 'other' })],
      /no cache named "other"/,
    ],
    ['a cached POST', [Post(), Cached()], /only handlers of GET and HEAD requests are cached.*getOrSet/],
    [
      'an eviction by the name of a method on a handler',
      [Post(), CacheEvict({ method: 'find' })],
      /many users.*same tags/,
    ],
    [
      'an eviction on an event stream',
      [Sse(), CacheEvict({ tags: ['a'] })],
      /no moment of success.*invalidateTags/,
    ],
  ])('with %s', async (_what, decorators, message) => {
    const starting = serve(platform, { controllers: [controllerWith(...decorators)] });
    await expect(starting).rejects.toThrow(CachekitConfigError);
    await expect(starting).rejects.toThrow(message);
  });
});

describe('A class that is a controller and a provider', () => {
  it('is taken for a controller', async () => {
    @Controller()
    @UseInterceptors()
    class BothController {
      @Get('both')
      @Cached()
      both(): string {
        return 'both';
      }
    }
    const server = await serve('Express', { controllers: [BothController], providers: [BothController] });
    expect((await server.get('/both')).cache).toBe('cachekit; fwd=uri-miss; stored');
  });
});
