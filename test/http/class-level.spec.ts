import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Head,
  Injectable,
  type NestInterceptor,
  Param,
  Post,
  Req,
  Sse,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { Cached, CacheEvict, CachekitConfigError, CachekitModule } from 'nestjs-cachekit';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { PLATFORMS, serve, type Server } from './serve.js';

const STORED = 'cachekit; fwd=uri-miss; stored';

let asked = 0;

@Injectable()
class CountRequests implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
    asked++;
    return next.handle();
  }
}

/** Handlers that a controller inherits; nothing here is cached. */
class Things {
  runs = 0;
  @Get('inherited/:id')
  inherited(@Param('id') id: string): unknown {
    return { id, run: ++this.runs };
  }
}

@Cached('1m')
@Controller('things')
class ThingsController extends Things {
  @Get('plain')
  plain(): unknown {
    return { run: ++this.runs };
  }
  @Get('short')
  @Cached('10s')
  short(): string {
    return 'short';
  }
  @Get('never')
  @Cached(0)
  never(): unknown {
    return { run: ++this.runs };
  }
  @Get('watched')
  @UseInterceptors(CountRequests)
  watched(): string {
    return 'watched';
  }
  @Post('plain')
  post(): unknown {
    return { run: ++this.runs };
  }
  @Head('only')
  head(): void {}
  @Get('evict')
  @CacheEvict({ tags: ['things'] })
  evict(): string {
    return 'evicted';
  }
  @Sse('events')
  events(): unknown {
    return of({ data: 'one' });
  }
  helper(): string {
    return 'no route';
  }
}

/** Only inherits the word of its base. */
@Controller('derived')
class DerivedController extends ThingsController {
  @Get('added')
  added(): unknown {
    return { run: ++this.runs };
  }
}

@Cached('5m')
@Controller('longer')
class LongerController extends ThingsController {}

@Cached(0)
@Controller('off')
class OffController extends ThingsController {}

@Controller('uncached')
class UncachedController extends Things {}

const controllers = [
  ThingsController,
  DerivedController,
  LongerController,
  OffController,
  UncachedController,
] as const;

async function twice(server: Server, path: string, method = 'GET'): Promise<(string | undefined)[]> {
  const first = await server.send(path, {}, { method });
  const second = await server.send(path, {}, { method });
  return [first.cache, second.cache];
}

describe.each(PLATFORMS)('@Cached on a controller on %s', (platform) => {
  it.each([
    ['things/plain', 60],
    ['things/inherited/1', 60],
    ['things/short', 10],
    ['derived/plain', 60],
    ['derived/added', 60],
    ['derived/inherited/1', 60],
    ['longer/plain', 300],
    ['longer/inherited/1', 300],
    ['longer/short', 10],
  ])('caches GET /%s for %i seconds', async (path, seconds) => {
    const server = await serve(platform, { controllers: [...controllers] });
    const [miss, hit] = await twice(server, `/${path}`);
    expect(miss).toBe(STORED);
    expect(Number(/^cachekit; hit; ttl=(\d+)$/.exec(String(hit))?.[1])).toBeGreaterThan(seconds - 5);
    expect(Number(/^cachekit; hit; ttl=(\d+)$/.exec(String(hit))?.[1])).toBeLessThanOrEqual(seconds);
  });

  it.each([
    ['a handler with @Cached(0)', '/things/never', 'GET'],
    ['a POST handler', '/things/plain', 'POST'],
    ['an explicit HEAD handler', '/things/only', 'HEAD'],
    ['a handler that evicts', '/things/evict', 'GET'],
    ['an event stream', '/things/events', 'GET'],
    ['the handlers of a class with @Cached(0)', '/off/plain', 'GET'],
    ['the handlers that such a class inherits', '/off/inherited/1', 'GET'],
    ['handlers that another class inherits too', '/uncached/inherited/1', 'GET'],
  ])('leaves %s alone', async (_what, path, method) => {
    const server = await serve(platform, { controllers: [...controllers] });
    expect(await twice(server, path, method)).toEqual([undefined, undefined]);
  });

  it('keeps parameters and controllers apart', async () => {
    const server = await serve(platform, { controllers: [...controllers] });
    const bodies = [];
    for (const path of ['/things/inherited/1', '/things/inherited/2', '/longer/inherited/1'])
      bodies.push((await server.get(path)).body);
    expect(bodies).toEqual(['{"id":"1","run":1}', '{"id":"2","run":2}', '{"id":"1","run":1}']);
    expect((await server.get('/things/inherited/1')).body).toBe(bodies[0]);
  });

  it('lets the interceptors of a handler run on every request', async () => {
    const server = await serve(platform, { controllers: [...controllers] });
    asked = 0;
    await twice(server, '/things/watched');
    expect(asked).toBe(2);
  });

  it('does not share what says who asks', async () => {
    const server = await serve(platform, { controllers: [...controllers] });
    await server.get('/things/plain', { authorization: 'Bearer one' });
    expect((await server.get('/things/plain', { authorization: 'Bearer other' })).cache).toBe(STORED);
    expect((await server.get('/things/plain', { cookie: 'session=1' })).cache).toContain('bypass');
  });

  it('of one class is not that of another one of the same name that extends it', async () => {
    const V1 = (() => {
      @Cached({ ttl: '1m', scope: 'public' })
      @Controller('v1')
      class CatsController {
        @Get('me')
        me(@Req() request: { headers: Record<string, string> }): string {
          return String(request.headers['cookie']);
        }
      }
      return CatsController;
    })();
    const extended = (path: string, cached: ClassDecorator): typeof V1 => {
      @Controller(path)
      class CatsController extends V1 {}
      cached(CatsController);
      return CatsController;
    };
    const never = extended('v2', Cached(0));
    const careful = extended('v3', Cached({ ttl: '1m', scope: 'auto', vary: ['accept'] }));
    const server = await serve(platform, { controllers: [V1, never, careful] });
    for (const cookie of ['sid=alice', 'sid=bob']) {
      expect(await server.get('/v2/me', { cookie })).toMatchObject({ body: cookie, cache: undefined });
      expect(await server.get('/v3/me', { cookie })).toMatchObject({
        body: cookie,
        cache: 'cachekit; fwd=bypass; detail=credentials',
      });
    }
    await server.get('/v1/me');
    expect((await server.get('/v1/me')).cache).toContain('hit');
  });

  it('is one for every app that has the controller', async () => {
    const one = await serve(platform, { controllers: [...controllers] });
    const other = await serve(platform, { controllers: [...controllers] });
    await one.get('/derived/added');
    expect((await other.get('/derived/added')).cache).toBe(STORED);
    expect((await one.get('/derived/added')).cache).toContain('hit');
  });

  it('does nothing in an app without CachekitModule', async () => {
    const server = await serve(platform, { controllers: [...controllers], caches: [] });
    expect(await twice(server, '/things/plain')).toEqual([undefined, undefined]);
  });

  it('says where it stands when something is wrong', async () => {
    @Cached({ cache: 'nowhere' })
    @Controller()
    class LostController {
      @Get()
      find(): void {}
    }
    const starting = serve(platform, { controllers: [LostController], caches: [CachekitModule.forRoot()] });
    await expect(starting).rejects.toThrow(
      /^@Cached on LostController, for find: .*no cache named "nowhere"/,
    );
  });
});

describe('@Cached on a controller is checked when the class is defined:', () => {
  const define = (...decorators: ClassDecorator[]): void => {
    class CatsController {}
    for (const decorator of decorators) decorator(CatsController as Type);
  };

  it('a wrong ttl and two of them are refused', () => {
    expect(() => define(Cached('5x' as '5s'))).toThrow(/^@Cached on CatsController: ttl "5x"/);
    expect(() => define(Cached(), Cached())).toThrow(CachekitConfigError);
    expect(() => define(Cached(), Cached())).toThrow('@Cached on CatsController: there are two of them.');
  });

  it('without its parentheses it is refused', () => {
    const bare = Cached as unknown as ClassDecorator;
    expect(() => define(bare)).toThrow('@Cached on CatsController: its parentheses are missing');
  });
});
