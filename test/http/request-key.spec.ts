import {
  Controller,
  Get,
  Head,
  Headers,
  HostParam,
  Inject,
  Module,
  Param,
  Query,
  Version,
  VERSION_NEUTRAL,
  VersioningType,
  type VersioningOptions,
  All,
} from '@nestjs/common';
import fc from 'fast-check';
import { Cached, type CachedOptions, CachekitModule, CacheService } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { expressOf, type Platform, PLATFORMS, serve, type Server, start } from './serve.js';

const HIT = /^cachekit; hit; ttl=/;
const STORED = 'cachekit; fwd=uri-miss; stored';

/** An app that answers with what it was asked. */
function serveEcho(platform: Platform, cached: CachedOptions = {}): Promise<Server> {
  @Controller()
  class EchoController {
    @Get(['items/:a/:b', 'things/:a/:b'])
    @Cached(cached)
    echo(@Param() params: unknown, @Query() query: unknown): unknown {
      return { params, query };
    }
    @Get('search')
    @Cached(cached)
    search(@Query() query: unknown): unknown {
      return { query };
    }
  }
  return serve(platform, {
    controllers: [EchoController],
    configure: (app) => {
      if (platform === 'Express') expressOf(app).set('query parser', 'extended');
    },
  });
}

describe.each(PLATFORMS)('The key of a request on %s', (platform) => {
  it.each([
    ['parameters that imitate its encoding', '/items/a","b/c', '/items/a/b","c'],
    ['parameters that hold an encoded slash', '/items/a%2Fb/c', '/items/a/b%2Fc'],
    ['a query that imitates its encoding', '/items/a/b?x=1","y":"2', '/items/a/b?x=1&y=2'],
    ['a query that imitates an ending', '/items/a/b?x=1"}}', '/items/a/b?x=1'],
    ['a query in place of a parameter', '/items/a/b?a=c', '/items/c/b'],
    ['a repeated name', '/items/a/b?x=1&x=2', '/items/a/b?x=1,2'],
    ['a repeated name in another order', '/items/a/b?x=1&x=2', '/items/a/b?x=2&x=1'],
    ['another case', '/items/a/b?x=A', '/items/a/b?x=a'],
    ['an empty value', '/items/a/b?x=', '/items/a/b'],
    ['a name that every object has', '/items/a/b?constructor=1', '/items/a/b?toString=1'],
    ['another route with the same parameters', '/items/a/b', '/things/a/b'],
    ['a NUL', '/items/a/b?x=a%00', '/items/a/b?x=a'],
    ['two characters that look the same', '/items/a/b?x=%C3%A9', '/items/a/b?x=e%CC%81'],
  ])('tells %s apart', async (_what, path, other) => {
    const server = await serveEcho(platform);
    const uncached = await serveEcho(platform, { ttl: 0 });
    await server.get(path);
    const second = await server.get(other);
    expect(second.cache).toBe(STORED);
    expect(second.body).toBe((await uncached.get(other)).body);
  });

  it('does not confuse names that change prototypes', async () => {
    const server = await serveEcho(platform);
    const uncached = await serveEcho(platform, { ttl: 0 });
    for (const path of ['/search?__proto__=1', '/search?__proto__=2', '/search?__proto__[x]=1', '/search']) {
      expect((await server.get(path)).body).toBe((await uncached.get(path)).body);
    }
  });

  it('answers any request as without a cache, however odd', async () => {
    const [cached, uncached] = [await serveEcho(platform), await serveEcho(platform, { ttl: 0 })];
    const odd = fc.constantFrom(
      'a',
      'b',
      'a,b',
      'a"',
      '"a":"b"',
      '[]',
      '{}',
      'a[]',
      'a[b]',
      '__proto__',
      'é',
      '\\',
      '\0',
    );
    const pairs = fc.array(fc.tuple(odd, odd), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(odd, odd, pairs, async (first, second, query) => {
        const search = query.map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
        const path = `/items/${encodeURIComponent(first)}/${encodeURIComponent(second)}?${search}`;
        expect((await cached.get(path)).body).toBe((await uncached.get(path)).body);
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on the order of names in the query', async () => {
    const server = await serveEcho(platform);
    await server.get('/items/a/b?x=1&y=2');
    expect((await server.get('/items/a/b?y=2&x=1')).cache).toMatch(HIT);
  });

  it('does not depend on how the URL is written', async () => {
    const server = await serveEcho(platform);
    await server.get('/items/a/b?x=%41');
    expect((await server.get('/items/%61/b?x=A')).cache).toMatch(HIT);
  });

  it('counts only the names in the option query', async () => {
    const server = await serveEcho(platform, { query: ['page'] });
    await server.get('/search?page=1&utm=a');
    expect((await server.get('/search?page=1&utm=b')).cache).toMatch(HIT);
    expect((await server.get('/search?page=2&utm=a')).cache).toBe(STORED);
  });

  it('is shortened when the query is huge, and still tells queries apart', async () => {
    const server = await serveEcho(platform);
    const long = 'x'.repeat(6_000);
    await server.get(`/search?q=${long}a`);
    expect((await server.get(`/search?q=${long}b`)).cache).toBe(STORED);
    expect((await server.get(`/search?q=${long}a`)).cache).toMatch(HIT);
  });

  it('is replaced by the option key, in parameters and query', async () => {
    const server = await serveEcho(platform, {
      key: ({ params, query }) => [String(params['a']), JSON.stringify(query['x'])],
    });
    await server.get('/items/a/b?x=1');
    expect((await server.get('/items/a/c?x=1&y=2')).cache).toMatch(HIT);
    expect((await server.get('/items/a/b?x=2')).cache).toBe(STORED);
  });

  it('never joins the parts of the option key', async () => {
    const server = await serveEcho(platform, {
      key: ({ params }) => [String(params['a']), String(params['b'])],
    });
    await server.get('/items/a,b/c');
    expect((await server.get('/items/a/b,c')).cache).toBe(STORED);
  });

  it('tells two controllers of the same name apart, also with the same option key', async () => {
    const modules = ['admin', 'public'].map((path) => {
      @Controller(path)
      class CatsController {
        @Get()
        @Cached({ key: 'all' })
        find(): unknown {
          return { from: path };
        }
      }
      class CatsModule {}
      Module({ controllers: [CatsController] })(CatsModule);
      return CatsModule;
    });
    class AppModule {}
    Module({ imports: [CachekitModule.forRoot(), ...modules] })(AppModule);
    const server = await start(platform, AppModule);
    await server.get('/admin');
    expect((await server.get('/public')).body).toBe('{"from":"public"}');
  });

  it('tells languages apart when they are in vary', async () => {
    @Controller()
    class HelloController {
      @Get('option')
      @Cached({ vary: ['Accept-Language'] })
      option(): unknown {
        return { at: performance.now() };
      }
      @Get('parameter')
      @Cached()
      parameter(@Headers('Accept-Language') language: string): unknown {
        return { language };
      }
    }
    const server = await serve(platform, { controllers: [HelloController] });
    for (const path of ['/option', '/parameter']) {
      const german = await server.get(path, { 'accept-language': 'de' });
      const french = await server.get(path, { 'accept-language': 'fr' });
      const none = await server.get(path);
      expect([german.cache, french.cache, none.cache]).toEqual([STORED, STORED, STORED]);
      expect((await server.get(path, { 'accept-language': 'de' })).body).toBe(german.body);
    }
  });

  it('shares nothing between an explicit HEAD handler and a GET handler', async () => {
    let heads = 0;
    @Controller()
    class HeadController {
      @Head('page')
      @Cached({ key: 'page' })
      page(): string {
        heads++;
        return '';
      }
      @Get('page')
      @Cached({ key: 'page' })
      get(): string {
        return 'the page';
      }
    }
    const server = await serve(platform, { controllers: [HeadController] });
    await server.get('/page');
    await server.send('/page', {}, { method: 'HEAD' });
    expect(heads).toBe(1);
    expect((await server.get('/page')).body).toBe('the page');
  });

  it('tells methods apart in a handler of all methods, and caches only GET and HEAD', async () => {
    @Controller()
    class AllController {
      @All('any')
      @Cached()
      any(): unknown {
        return { at: performance.now() };
      }
    }
    const server = await serve(platform, { controllers: [AllController] });
    await server.get('/any');
    expect((await server.send('/any', {}, { method: 'HEAD' })).cache).toBe(STORED);
    expect((await server.get('/any')).cache).toMatch(HIT);
    expect((await server.send('/any', {}, { method: 'POST' })).cache).toBe('cachekit; fwd=method');
  });

  it('tells host parameters apart', async () => {
    @Controller({ path: 'home', host: ':tenant.example.test' })
    class TenantController {
      @Get()
      @Cached()
      home(@HostParam('tenant') tenant: string): unknown {
        return { tenant };
      }
    }
    const server = await serve(platform, { controllers: [TenantController] });
    await server.get('/home', { host: 'a.example.test' });
    const other = await server.get('/home', { host: 'b.example.test' });
    expect(other.body).toBe('{"tenant":"b"}');
    expect((await server.get('/home', { host: 'a.example.test' })).cache).toMatch(HIT);
  });

  it('tells hosts apart, since the tenants of an app may differ in nothing else', async () => {
    const server = await serveEcho(platform);
    await server.get('/search', { host: 'a.example.test' });
    expect((await server.get('/search', { host: 'b.example.test' })).cache).toBe(STORED);
    expect((await server.get('/search', { host: 'a.example.test:80' })).cache).toMatch(HIT);
  });

  const versionings: [string, VersioningOptions, (version: string) => [string, Record<string, string>]][] = [
    ['the path', { type: VersioningType.URI }, (version) => [`/v${version}/cats`, {}]],
    [
      'a header',
      { type: VersioningType.HEADER, header: 'X-Api' },
      (version) => ['/cats', { 'x-api': version }],
    ],
    [
      'the media type',
      { type: VersioningType.MEDIA_TYPE, key: 'v=' },
      (version) => ['/cats', { accept: `application/json;v=${version}` }],
    ],
    [
      'an extractor of its own',
      {
        type: VersioningType.CUSTOM,
        extractor: (request) => (request as { headers: Record<string, string> }).headers['x-custom'] ?? '',
      },
      (version) => ['/cats', { 'x-custom': version }],
    ],
  ];

  it.each(versionings)('tells API versions in %s apart', async (_where, versioning, ask) => {
    @Controller('cats')
    class CatsController {
      @Version(['1', '2'])
      @Get()
      @Cached({ key: 'cats' })
      both(): unknown {
        return { at: performance.now() };
      }
    }
    const server = await serve(platform, {
      controllers: [CatsController],
      configure: (app) => app.enableVersioning(versioning),
    });
    const first = await server.get(...ask('1'));
    const second = await server.get(...ask('2'));
    expect([first.cache, second.cache]).toEqual([STORED, STORED]);
    expect((await server.get(...ask('1'))).body).toBe(first.body);
  });

  it('holds the version that a neutral handler is asked for', async () => {
    @Controller({ path: 'neutral', version: VERSION_NEUTRAL })
    class NeutralController {
      @Get()
      @Cached()
      any(): unknown {
        return {};
      }
    }
    const server = await serve(platform, {
      controllers: [NeutralController],
      configure: (app) => app.enableVersioning({ type: VersioningType.HEADER, header: 'x-api' }),
    });
    await server.get('/neutral', { 'x-api': '1' });
    expect((await server.get('/neutral', { 'x-api': '2' })).cache).toBe(STORED);
  });

  it('goes past the cache when the request has a body', async () => {
    const server = await serveEcho(platform);
    await server.get('/search');
    const sized = await server.send('/search', { 'content-length': 2 }, { body: '{}' });
    const chunked = await server.send('/search', { 'transfer-encoding': 'chunked' }, { body: '{}' });
    const empty = await server.send('/search', { 'content-length': 0 }, {});
    expect([sized.cache, chunked.cache]).toEqual(Array(2).fill('cachekit; fwd=bypass; detail=body'));
    expect(empty.cache).toMatch(HIT);
  });

  it('keeps named caches apart', async () => {
    @Controller()
    class TwoController {
      constructor(@Inject(CacheService) private readonly cache: CacheService) {}
      @Get('one')
      @Cached({ key: 'x', tags: ['one'] })
      one(): unknown {
        return { at: performance.now() };
      }
      @Get('two')
      @Cached({ key: 'x', tags: ['one'], cache: 'second' })
      two(): unknown {
        return { at: performance.now() };
      }
      @Get('evict')
      evict(): Promise<void> {
        return this.cache.invalidateTags('one');
      }
    }
    const caches = [CachekitModule.forRoot(), CachekitModule.forRoot(undefined, { name: 'second' })];
    const server = await serve(platform, { controllers: [TwoController], caches });
    await server.get('/one');
    await server.get('/two');
    await server.get('/evict');
    expect((await server.get('/one')).cache).toBe(STORED);
    expect((await server.get('/two')).cache).toMatch(HIT);
  });
});

describe('Method override on Express', () => {
  it('goes past the cache when middleware makes a GET of a POST with a body', async () => {
    const server = await serve('Express', {
      controllers: [echoController()],
      configure: (app) =>
        app.use((request: { method: string }, _response: unknown, next: () => void) => {
          request.method = 'GET';
          next();
        }),
    });
    await server.get('/echo');
    const posted = await server.send(
      '/echo',
      { 'content-type': 'application/json', 'content-length': 7 },
      { method: 'POST', body: '{"a":1}' },
    );
    expect(posted.cache).toBe('cachekit; fwd=bypass; detail=body');
  });
});

function echoController(): new () => object {
  @Controller()
  class EchoController {
    @Get('echo')
    @Cached()
    echo(): string {
      return 'echo';
    }
  }
  return EchoController;
}
