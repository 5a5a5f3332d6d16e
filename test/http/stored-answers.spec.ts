import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  HttpCode,
  Injectable,
  type NestInterceptor,
  Redirect,
  Req,
  StreamableFile,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { Cached, type CacheEvent } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { Gate } from './gate.js';
import { PLATFORMS, serve } from './serve.js';

const HIT = /^cachekit; hit; ttl=/;
const STORED = 'cachekit; fwd=uri-miss; stored';
const MISS = 'cachekit; fwd=uri-miss';
const RESPONSE = 'cachekit; fwd=bypass; detail=response';

/** What Express and Fastify both let a test do to an answer. */
interface AnyResponse {
  setHeader?(name: string, value: string): void;
  header(name: string, value: string): void;
  status(code: number): void;
}

/** A controller with one cached handler, and what an interceptor inside the cache does to its answers. */
function answering(alter: (response: AnyResponse) => void): new () => object {
  @Injectable()
  class Altering implements NestInterceptor {
    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      return next.handle().pipe(
        map((value: unknown) => {
          alter(context.switchToHttp().getResponse<AnyResponse>());
          return value;
        }),
      );
    }
  }
  @Controller()
  class AnsweringController {
    runs = 0;
    @Get('answer')
    @UseInterceptors(Altering)
    @Cached()
    answer(): unknown {
      return { run: ++this.runs };
    }
  }
  return AnsweringController;
}

const responses = new WeakMap<object, AnyResponse>();

/** Lets handlers get at their response, as apps do that keep it in a context store. */
@Injectable()
class Remembering implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    responses.set(http.getRequest<object>(), http.getResponse<AnyResponse>());
    return next.handle();
  }
}

function responseOf(request: object): AnyResponse {
  return responses.get(request) as AnyResponse;
}

const setBefore =
  (name: string, value: string) =>
  (_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void): void => {
    response.setHeader(name, value);
    next();
  };

describe.each(PLATFORMS)('An answer on %s is not stored', (platform) => {
  it.each([
    ['sets a cookie', 'Set-Cookie', 'session=1'],
    ['says no-store', 'Cache-Control', 'max-age=60, No-Store'],
    ['says private', 'Cache-Control', 'private'],
    ['says private of a field', 'Cache-Control', 'private="x-user"'],
    ['varies by everything', 'Vary', '*'],
    ['varies by a header that is not in the key', 'Vary', 'Accept-Encoding, Accept-Language'],
  ])('when middleware %s', async (_what, name, value) => {
    const server = await serve(platform, {
      controllers: [answering(() => undefined)],
      configure: (app) => app.use(setBefore(name, value)),
    });
    await server.get('/answer');
    const second = await server.get('/answer');
    expect([second.body, second.cache]).toEqual(['{"run":2}', RESPONSE]);
  });

  it.each<[string, (response: AnyResponse) => void]>([
    ['sets a cookie', (response) => response.header('Set-Cookie', 'session=1')],
    ['says no-store', (response) => response.header('Cache-Control', 'no-store')],
    ['says what it varies by', (response) => response.header('Vary', 'Origin')],
    ['sets a header', (response) => response.header('X-Total', '7')],
    ['sets a status', (response) => response.status(202)],
  ])('when something inside the cache %s, and goes out as it is', async (_what, alter) => {
    const server = await serve(platform, { controllers: [answering(alter)] });
    const [first, second] = [await server.get('/answer'), await server.get('/answer')];
    expect([first.body, second.body]).toEqual(['{"run":1}', '{"run":2}']);
    expect([first.cache, second.cache]).toEqual([MISS, RESPONSE]);
    expect({ ...second.headers, date: '', etag: '', 'cache-status': '' }).toEqual({
      ...first.headers,
      date: '',
      etag: '',
      'cache-status': '',
    });
    expect(second.status).toBe(first.status);
  });

  it.each([201, 202, 204, 206, 404, 500])('when its handler has the status %i', async (status) => {
    @Controller()
    class StatusController {
      runs = 0;
      @Get('status')
      @Cached()
      @HttpCode(status)
      status(): unknown {
        return { run: ++this.runs };
      }
    }
    const server = await serve(platform, { controllers: [StatusController] });
    await server.get('/status');
    const second = await server.get('/status');
    expect([second.status, second.cache]).toEqual([status, RESPONSE]);
  });

  it('when its handler has a static header that forbids it', async () => {
    @Controller()
    class ForbiddenController {
      @Get('private')
      @Cached()
      @Header('Cache-Control', 'private, max-age=60')
      private(): string {
        return 'mine';
      }
      @Get('varying')
      @Cached()
      @Header('Vary', 'Origin')
      varying(): string {
        return 'for this origin';
      }
    }
    const server = await serve(platform, { controllers: [ForbiddenController] });
    expect((await server.get('/private')).cache).toBe(RESPONSE);
    expect((await server.get('/varying')).cache).toBe(RESPONSE);
  });

  it('when it redirects for the moment', async () => {
    @Controller()
    class RedirectController {
      @Get('from')
      @Cached()
      @Redirect('/to')
      from(): void {}
      @Get('named')
      @Cached()
      @Redirect('/to', 301)
      named(): object {
        return { url: '/there', statusCode: 307 };
      }
    }
    const server = await serve(platform, { controllers: [RedirectController] });
    for (const [path, status] of [
      ['/from', 302],
      ['/named', 307],
    ] as const) {
      await server.get(path);
      const second = await server.get(path);
      expect([second.status, second.cache]).toEqual([status, MISS]);
    }
  });

  it('when unless says so, and is shared by those who wait for it all the same', async () => {
    let runs = 0;
    const finish = new Gate();
    const waiting = new Gate();
    @Controller()
    class EmptyController {
      @Get('empty')
      @Cached({ unless: (cats: unknown[]) => cats.length === 0 })
      async empty(): Promise<unknown[]> {
        runs++;
        await finish.opened;
        return [];
      }
    }
    const onEvent = ({ type }: CacheEvent): void => {
      if (type === 'collapsed') waiting.open();
    };
    const server = await serve(platform, { controllers: [EmptyController], onEvent });
    const both = [server.get('/empty'), server.get('/empty')];
    await waiting.opened;
    finish.open();
    const statuses = (await Promise.all(both)).map(({ cache }) => cache);
    expect(new Set(statuses)).toEqual(new Set([MISS, 'cachekit; fwd=uri-miss; collapsed']));
    expect(runs).toBe(1);
  });

  it('when it is empty but has a header of its own, which nobody who waits for it goes without', async () => {
    let runs = 0;
    const finish = new Gate();
    const waiting = new Gate();
    @Controller()
    class CountedController {
      @Get('counted')
      @Cached({ scope: 'public' })
      async counted(@Req() request: object): Promise<void> {
        const run = ++runs;
        await finish.opened;
        responseOf(request).header('X-Run', `${run}`);
      }
    }
    const onEvent = ({ type }: CacheEvent): void => {
      if (type === 'collapsed') waiting.open();
    };
    const server = await serve(platform, {
      controllers: [CountedController],
      onEvent,
      providers: [{ provide: APP_INTERCEPTOR, useClass: Remembering }],
    });
    const both = [server.get('/counted'), server.get('/counted')];
    await waiting.opened;
    finish.open();
    const headers = (await Promise.all(both)).map((answer) => answer.headers['x-run']);
    expect(new Set(headers)).toEqual(new Set(['1', '2']));
  });

  it('when only some of its answers are streams, and its other answers are', async () => {
    @Controller()
    class MixedController {
      @Get('mixed/:format')
      @Cached({ key: ({ params }) => String(params['format']) })
      mixed(): unknown {
        return this.formats.shift();
      }
      private readonly formats = [new StreamableFile(Buffer.from('file')), { a: 1 }, { a: 2 }];
    }
    const server = await serve(platform, { controllers: [MixedController] });
    expect((await server.get('/mixed/csv')).body).toBe('file');
    expect((await server.get('/mixed/json')).cache).toBe(STORED);
    expect((await server.get('/mixed/json')).cache).toMatch(HIT);
    expect((await server.get('/mixed/csv')).cache).toBe(RESPONSE);
  });
});

describe.each(PLATFORMS)('An answer on %s is stored', (platform) => {
  it('beside the Vary: Origin of CORS, whose headers are made anew for every requester', async () => {
    const server = await serve(platform, {
      controllers: [answering(() => undefined)],
      configure: (app) => app.enableCors({ origin: ['https://a.test', 'https://b.test'] }),
    });
    const first = await server.get('/answer', { origin: 'https://a.test' });
    const second = await server.get('/answer', { origin: 'https://b.test' });
    expect(first.headers['access-control-allow-origin']).toBe('https://a.test');
    expect(second.headers['access-control-allow-origin']).toBe('https://b.test');
    expect(second.headers.vary).toContain('Origin');
    expect(second.cache).toMatch(HIT);
  });

  it('beside a Vary that names headers in the key', async () => {
    @Controller()
    class VaryingController {
      @Get('hello')
      @Cached({ vary: ['accept-language'] })
      @Header('Vary', 'Accept-Language, Authorization')
      hello(): string {
        return 'hello';
      }
    }
    const server = await serve(platform, { controllers: [VaryingController] });
    await server.get('/hello');
    expect((await server.get('/hello')).cache).toMatch(HIT);
  });

  it('with the status 203', async () => {
    @Controller()
    class StatusController {
      @Get('status')
      @Cached()
      @HttpCode(203)
      status(): string {
        return 'from elsewhere';
      }
    }
    const server = await serve(platform, { controllers: [StatusController] });
    await server.get('/status');
    const hit = await server.get('/status');
    expect([hit.status, hit.cache]).toEqual([203, expect.stringMatching(HIT)]);
  });
});

describe('An answer on Express is not stored', () => {
  it('when its handler sends it by itself', async () => {
    @Controller()
    class SendingController {
      runs = 0;
      @Get('sent')
      @Cached({ scope: 'public' })
      sent(@Req() request: { res: { end(text: string): void } }): string {
        request.res.end(`sent by hand ${++this.runs}`);
        return 'too late';
      }
    }
    const server = await serve('Express', { controllers: [SendingController] });
    await server.get('/sent');
    expect((await server.get('/sent')).body).toBe('sent by hand 2');
  });
});
