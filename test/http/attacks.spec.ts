import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Param,
  Put,
  Query,
  Req,
  RequestTimeoutException,
  UseInterceptors,
} from '@nestjs/common';
import { type CacheEvent, Cached, CacheEvict, CacheService } from 'nestjs-cachekit';
import { catchError, from, map, type Observable, tap, throwError, timeout, toArray } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Gate } from './gate.js';
import { PLATFORMS, serve } from './serve.js';

class Title {
  constructor(private readonly text: string) {}

  toJSON(): string {
    return this.text;
  }
}

const VIEW = Symbol('what of it may be shown');

/** Shows only what an object says may be shown, as a serializer of one's own does. */
const showView = {
  intercept: (_context: ExecutionContext, next: CallHandler) =>
    next.handle().pipe(
      map((value: Record<PropertyKey, unknown>) => {
        const names = value[VIEW] as string[] | undefined;
        return names ? Object.fromEntries(names.map((name) => [name, value[name]])) : value;
      }),
    ),
};

const HTML = encodeURIComponent('<script>alert(1)</script>');

describe.each(PLATFORMS)('On %s', (platform) => {
  it('an object whose JSON is a text is never answered as HTML', async () => {
    @Controller()
    class TitlesController {
      @Get('class/:text')
      @Cached()
      find(@Param('text') text: string): Title {
        return new Title(text);
      }

      @Get('object/:text')
      @Cached()
      plain(@Param('text') text: string): object {
        return { toJSON: () => text };
      }
    }
    const server = await serve(platform, { controllers: [TitlesController] });
    for (const path of [`/class/${HTML}`, `/object/${HTML}`, `/class/${HTML}`, `/object/${HTML}`]) {
      const { headers, body } = await server.get(path);
      expect(headers['content-type']).toMatch(/^application\/json/);
      expect(body).toBe('"<script>alert(1)</script>"');
    }
  });

  it('what an outer interceptor leaves out by a hidden mark is left out on every answer', async () => {
    @Controller()
    class UsersController {
      @Get('user')
      @Cached()
      find(): object {
        return { id: 1, password: 'secret', [VIEW]: ['id'] };
      }
    }
    const configure = (app: { useGlobalInterceptors(one: typeof showView): unknown }): unknown =>
      app.useGlobalInterceptors(showView);
    const server = await serve(platform, { controllers: [UsersController], configure });
    for (let round = 0; round < 3; round++) expect((await server.get('/user')).body).toBe('{"id":1}');
  });

  it.each<[string, number[], string]>([
    ['with all its items', [1, 2], '[1,2]'],
    // As many names as a list of its length has.
    ['with a hole', Array<number>(1), '[null]'],
  ])(
    'an array %s that is more than a list keeps what an outer interceptor reads of it',
    async (_what, list, items) => {
      @Controller()
      class PagesController {
        @Get('page')
        @Cached()
        find(): object {
          return Object.assign(list, { total: 41 });
        }
      }
      const addTotal = {
        intercept: (_context: ExecutionContext, next: CallHandler) =>
          next.handle().pipe(map((items: { total: number }) => ({ items, total: items.total }))),
      };
      const configure = (app: { useGlobalInterceptors(one: typeof addTotal): unknown }): unknown =>
        app.useGlobalInterceptors(addTotal);
      const server = await serve(platform, { controllers: [PagesController], configure });
      for (let round = 0; round < 3; round++) {
        expect((await server.get('/page')).body).toBe(`{"items":${items},"total":41}`);
      }
    },
  );

  it('a request that timed out neither spoils the key nor sends those who waited on their own way', async () => {
    const slow = new Gate();
    let runs = 0;
    const giveUp = {
      intercept: (_context: ExecutionContext, next: CallHandler) =>
        next.handle().pipe(
          timeout(50),
          catchError(() => throwError(() => new RequestTimeoutException())),
        ),
    };
    @Controller()
    @UseInterceptors(giveUp)
    class SlowController {
      @Get('slow')
      @Cached('1h')
      async find(): Promise<string> {
        if (++runs === 1) await slow.opened;
        return 'answer';
      }
    }
    const server = await serve(platform, { controllers: [SlowController] });
    expect((await server.get('/slow')).status).toBe(408);
    slow.open();
    await expect.poll(async () => (await server.get('/slow')).cache).toMatch(/hit/);
    expect(runs).toBeLessThanOrEqual(2);
    expect(server.warnings).toEqual([]);
  });

  it('those who waited for an answer that can not be shared share the next one', async () => {
    const first = new Gate();
    let runs = 0;
    const echo = {
      intercept: (context: ExecutionContext, next: CallHandler) => {
        const http = context.switchToHttp();
        const { headers } = http.getRequest<{ headers: Record<string, string | undefined> }>();
        const response = http.getResponse<Record<'header' | 'set', (name: string, value: string) => void>>();
        return next.handle().pipe(
          map((value: unknown) => {
            const id = headers['x-request-id'];
            if (id !== undefined) response.header('x-request-id', id);
            return value;
          }),
        );
      },
    };
    @Controller()
    class EchoController {
      @Get('echo')
      @UseInterceptors(echo)
      @Cached('1h')
      async find(): Promise<string> {
        if (++runs === 1) await first.opened;
        return 'answer';
      }
    }
    const server = await serve(platform, { controllers: [EchoController] });
    const hostile = server.get('/echo', { 'x-request-id': 'evil' });
    await expect.poll(() => runs).toBe(1);
    const waiting = Array.from({ length: 30 }, () => server.get('/echo'));
    await expect.poll(() => server.app.get(CacheService).stats().collapsed).toBe(30);
    first.open();
    const answers = await Promise.all([hostile, ...waiting]);
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(['answer']));
    expect(runs).toBeLessThanOrEqual(3);
  });

  it('a callback that is async and fails ends no process and fails no request', async () => {
    const fails = (async () => {
      throw new Error('async');
    }) as never;
    @Controller()
    class AsyncController {
      @Get('when')
      @Cached({ when: fails })
      when(): string {
        return 'when';
      }

      @Get('key')
      @Cached({ key: fails })
      key(): string {
        return 'key';
      }

      @Get('tags')
      @Cached({ tags: fails })
      tags(): string {
        return 'tags';
      }

      @Get('unless')
      @Cached({ unless: fails })
      unless(): string {
        return 'unless';
      }

      @Put('evict')
      @CacheEvict({ tags: fails })
      evict(): string {
        return 'evict';
      }
    }
    const rejections: unknown[] = [];
    const listen = (reason: unknown): number => rejections.push(reason);
    process.on('unhandledRejection', listen);
    onTestFinished(() => void process.off('unhandledRejection', listen));
    const server = await serve(platform, { controllers: [AsyncController] });
    for (const name of ['when', 'key', 'tags', 'unless'])
      expect((await server.get(`/${name}`)).body).toBe(name);
    expect((await server.send('/evict', {}, { method: 'PUT' })).body).toBe('evict');
    await new Promise(setImmediate);
    expect(rejections).toEqual([]);
  });

  it('two users that are arrays, alike but for what else they carry, are two users', async () => {
    @Controller()
    class MeController {
      @Get('me')
      @Cached({ key: 'me' })
      find(@Req() request: { user: { id: string } }): string {
        return request.user.id;
      }
    }
    const asArray = (
      request: { headers: Record<string, string>; user?: unknown },
      _response: unknown,
      next: () => void,
    ) => {
      request.user = Object.assign(['role'], { id: request.headers['x-who'] });
      next();
    };
    const configure = (app: { use(one: typeof asArray): unknown }): unknown => app.use(asArray);
    if (platform === 'Fastify') return;
    const server = await serve(platform, { controllers: [MeController], configure });
    for (const who of ['alice', 'bob', 'alice'])
      expect((await server.get('/me', { 'x-who': who })).body).toBe(who);
  });

  it.each(['global', 'controller', 'handler'])(
    'an eviction waits for what a %s interceptor commits',
    async (where) => {
      const log: string[] = [];
      const commit = {
        intercept: (_context: ExecutionContext, next: CallHandler) =>
          next.handle().pipe(tap(() => log.push('commit'))),
      };
      const nothing = { intercept: (_context: ExecutionContext, next: CallHandler) => next.handle() };
      @Controller()
      @UseInterceptors(...(where === 'controller' ? [commit] : []))
      class PricesController {
        @Put('price')
        @CacheEvict({ tags: ['price'] })
        @UseInterceptors(where === 'handler' ? commit : nothing)
        raise(): void {
          log.push('handler');
        }
      }
      const server = await serve(platform, {
        controllers: [PricesController],
        configure: (app) => (where === 'global' ? app.useGlobalInterceptors(commit) : app),
        onEvent: ({ type }) => log.push(type),
      });
      await server.send('/price', {}, { method: 'PUT' });
      expect(log).toEqual(['handler', 'commit', 'invalidate']);
    },
  );

  it('a handler that tracing put another function in the place of is not cached by what nobody can see', async () => {
    @Controller()
    class TracedController {
      constructor() {
        const own = Reflect.get(TracedController.prototype, 'find') as (...args: unknown[]) => string;
        const traced = (...args: unknown[]): string => Reflect.apply(own, this, args) as string;
        for (const name of Reflect.getMetadataKeys(own)) {
          Reflect.defineMetadata(name, Reflect.getMetadata(name, own), traced);
        }
        this.find = traced;
      }

      @Get('traced')
      @Cached()
      find(@Req() request: { headers: Record<string, string> }): string {
        return request.headers['x-who'] ?? '';
      }
    }
    const server = await serve(platform, { controllers: [TracedController] });
    for (const who of ['alice', 'bob'])
      expect((await server.get('/traced', { 'x-who': who })).body).toBe(who);
  });

  it('a token in the query that the key leaves out keeps the request away from the cache', async () => {
    @Controller()
    class FilesController {
      @Get('files')
      @Cached({ query: ['page'] })
      find(@Query('token') token: string): string {
        return `files of ${token}`;
      }
    }
    const server = await serve(platform, { controllers: [FilesController] });
    for (const token of ['alice', 'bob', 'alice']) {
      expect((await server.get(`/files?page=1&token=${token}`)).body).toBe(`files of ${token}`);
    }
  });

  it('a token in the path or the query stands in no event', async () => {
    @Controller()
    class ResetController {
      @Get('reset/:token')
      @Cached()
      find(): string {
        return 'form';
      }
    }
    const events: CacheEvent[] = [];
    const server = await serve(platform, {
      controllers: [ResetController],
      onEvent: (event) => events.push(event),
    });
    await server.get('/reset/SECRET1?mail=SECRET2');
    await server.get('/reset/SECRET1?mail=SECRET2');
    expect(JSON.stringify(events)).toContain('ResetController');
    expect(JSON.stringify(events)).not.toContain('SECRET');
  });
});

describe.each(PLATFORMS)('A handler on %s whose Observable', (platform) => {
  it.each([
    ['emits nothing', []],
    ['emits several values', [1, 2, 3]],
  ])('%s reaches an interceptor outside the cache as it is, each time', async (_what, values) => {
    @Controller()
    class ValuesController {
      @Get('values')
      @Cached()
      find(): Observable<number> {
        return from(values);
      }
    }
    const server = await serve(platform, {
      controllers: [ValuesController],
      configure: (app) =>
        app.useGlobalInterceptors({ intercept: (_context, next) => next.handle().pipe(toArray()) }),
    });
    const answers = [await server.get('/values'), await server.get('/values')];
    expect(answers.map(({ body }) => body)).toEqual(Array(2).fill(JSON.stringify(values)));
    expect(answers[1]?.cache).toBe('cachekit; fwd=bypass; detail=response');
  });
});

describe('On Express with a query parser of its own', () => {
  it('two queries are two queries', async () => {
    @Controller()
    class SearchController {
      @Get('search')
      @Cached()
      find(@Query() query: URLSearchParams): string {
        return query.get('q') ?? '';
      }
    }
    const configure = (app: { getHttpAdapter(): { getInstance(): unknown } }): void => {
      const express = app.getHttpAdapter().getInstance() as {
        set(name: string, parser: (text: string) => unknown): void;
      };
      express.set('query parser', (text: string) => new URLSearchParams(text));
    };
    const server = await serve('Express', { controllers: [SearchController], configure });
    for (const name of ['alice', 'bob', 'alice']) {
      expect(await server.get(`/search?q=${name}`)).toMatchObject({
        body: name,
        cache: expect.stringContaining('bypass') as string,
      });
    }
  });
});
