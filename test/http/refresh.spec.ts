import {
  type CallHandler,
  ClassSerializerInterceptor,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Get,
  Header,
  Inject,
  Injectable,
  Ip,
  Param,
  Query,
  Req,
  Res,
  Scope,
  UseInterceptors,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached, type CacheEvent } from 'nestjs-cachekit';
import { Readable } from 'node:stream';
import { tap } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Gate } from './gate.js';
import { PLATFORMS, type Platform, serve, type Server } from './serve.js';
import { serveTwins, type Surroundings, type Twin } from './twins.js';

/** Only the clocks stand still: timers and sockets go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);

const CACHED = { ttl: '1m', staleWhileRevalidate: '10m' } as const;
const STALE = 'cachekit; hit; ttl=-60';

/** An app whose entry is stale, and whose handler counts its runs. */
async function serveStale(platform: Platform, twin: Partial<Twin>, more: Surroundings = {}) {
  const events: CacheEvent[] = [];
  const runs = { count: 0 };
  const answer = (): unknown => ({ run: ++runs.count });
  const server = await serveTwins(
    platform,
    { answer, cached: CACHED, ...twin },
    { ...more, onEvent: (event) => events.push(event) },
  );
  await server.get('/cached');
  pass(120);
  const happened = (type: CacheEvent['type']): boolean => events.some((event) => event.type === type);
  return { server, runs, happened, events };
}

const Custom = createParamDecorator(() => 'custom');

describe.each(PLATFORMS)('On %s, with staleWhileRevalidate,', (platform) => {
  it('the stale answer is sent at once, and the handler runs again behind it', async () => {
    const slow = new Gate();
    let runs = 0;
    const answer = async (): Promise<object> => {
      if (++runs > 1) await slow.opened;
      return { run: runs };
    };
    const { server } = await serveStale(platform, { answer });
    expect(await server.get('/cached')).toMatchObject({ body: '{"run":1}', cache: STALE });
    expect(await server.get('/cached')).toMatchObject({ body: '{"run":1}', cache: STALE });
    slow.open();
    await expect.poll(async () => (await server.get('/cached')).body).toBe('{"run":2}');
    expect(runs).toBe(2);
  });

  it('the module may say it for all handlers', async () => {
    const { server } = await serveStale(platform, { cached: { ttl: '1m' } }, { staleWhileRevalidate: '10m' });
    expect((await server.get('/cached')).cache).toBe(STALE);
    await expect.poll(async () => (await server.get('/cached')).body).toBe('{"run":2}');
  });

  it('an answer that is too old is not sent', async () => {
    const { server } = await serveStale(platform, {});
    pass(600);
    expect(await server.get('/cached')).toMatchObject({
      body: '{"run":2}',
      cache: 'cachekit; fwd=uri-miss; stored',
    });
  });

  it('the run behind it has the parameters of its request, and pipes run again', async () => {
    const pipe = { transform: vi.fn((value: string) => value.toUpperCase()) };
    @Controller()
    class PagesController {
      runs = 0;
      @Get('pages/:id')
      @Cached(CACHED)
      find(@Param('id', pipe) id: string, @Query('sort') sort: string): string {
        return `${id} by ${sort}: ${++this.runs}`;
      }
    }
    const server = await serve(platform, { controllers: [PagesController] });
    await server.get('/pages/a?sort=name');
    pass(120);
    expect((await server.get('/pages/a?sort=name')).body).toBe('A by name: 1');
    await expect.poll(async () => (await server.get('/pages/a?sort=name')).body).toBe('A by name: 2');
    expect(pipe.transform).toHaveBeenCalledTimes(2);
  });

  it('a run behind it that fails leaves the stale answer, and the request alone', async () => {
    let runs = 0;
    const answer = (): object => {
      if (++runs > 1) throw new Error('away');
      return { run: 1 };
    };
    const { server, happened } = await serveStale(platform, { answer });
    expect((await server.get('/cached')).status).toBe(200);
    await expect.poll(() => happened('refresh-failed')).toBe(true);
    expect(await server.get('/cached')).toMatchObject({ status: 200, body: '{"run":1}', cache: STALE });
  });

  it('a stream that only the run behind it brings is let go', async () => {
    const stream = Readable.from(['a']);
    let runs = 0;
    const { server } = await serveStale(platform, { answer: () => (++runs > 1 ? stream : { run: 1 }) });
    expect((await server.get('/cached')).body).toBe('{"run":1}');
    await expect.poll(() => stream.destroyed).toBe(true);
  });

  it('the class serializer works behind it too', async () => {
    const decorators = [UseInterceptors(ClassSerializerInterceptor)];
    const { server } = await serveStale(platform, { decorators });
    expect((await server.get('/cached')).cache).toBe(STALE);
    await expect.poll(async () => (await server.get('/cached')).body).toBe('{"run":2}');
  });

  it('neither the status nor the headers of the answer that is being sent get into the next one', async () => {
    const { server } = await serveStale(platform, { decorators: [Header('X-Static', 'yes')] });
    // The handler runs while this response is a 304, which has no body and other headers.
    const notModified = await server.get('/cached', { 'if-none-match': '*' });
    expect([notModified.status, notModified.cache]).toEqual([304, STALE]);
    await expect.poll(async () => (await server.get('/cached')).cache).not.toBe(STALE);
    const fresh = await server.get('/cached');
    expect([fresh.status, fresh.body, fresh.headers['x-static']]).toEqual([200, '{"run":2}', 'yes']);
    expect(fresh.headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', age: '0' });
  });
});

describe.each(PLATFORMS)('On %s, with staleWhileRevalidate, the client waits for', (platform) => {
  const expectForeground = async ({
    server,
    runs,
  }: Awaited<ReturnType<typeof serveStale>>): Promise<void> => {
    const next = await server.get('/cached');
    expect([next.body, next.cache]).toEqual(['{"run":2}', 'cachekit; fwd=uri-miss; stored']);
    expect(runs.count).toBe(2);
  };

  it.each<[string, ParameterDecorator]>([
    ['the request', Req()],
    ['the response', Res({ passthrough: true })],
    ['the address', Ip()],
    ['what a decorator of the app finds', Custom()],
  ])('a handler that takes %s, and its author is told', async (_what, parameter) => {
    const cached = { ...CACHED, scope: 'public' } as const;
    await expectForeground(await serveStale(platform, { parameter, cached }));
  });

  it('a handler behind an interceptor inside the cache that speaks to the response', async () => {
    let late = 0;
    const speaking = {
      intercept: (context: ExecutionContext, next: CallHandler) => {
        const response = context.switchToHttp().getResponse<Record<string, unknown>>();
        const raw = (response['raw'] ?? response) as { readonly headersSent: boolean };
        return next.handle().pipe(
          tap(() => {
            late += Number(raw.headersSent);
            (response as unknown as { header(name: string, value: string): void }).header('Link', '</a>');
          }),
        );
      },
    };
    const stale = await serveStale(platform, { decorators: [UseInterceptors(speaking)] });
    await expectForeground(stale);
    const hit = await stale.server.get('/cached');
    expect([hit.headers['link'], late]).toEqual(['</a>', 0]);
  });

  it('a request-scoped controller', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {
      constructor(@Inject(REQUEST) readonly request: object) {}
    }
    let runs = 0;
    @Controller()
    class ScopedController {
      constructor(@Inject(Tenant) readonly tenant: Tenant) {}
      @Get('scoped')
      @Cached({ ...CACHED, scope: 'public' })
      find(): object {
        return { run: ++runs };
      }
    }
    const server: Server = await serve(platform, { controllers: [ScopedController], providers: [Tenant] });
    await server.get('/scoped');
    pass(120);
    expect((await server.get('/scoped')).body).toBe('{"run":2}');
  });
});

describe('An interceptor inside the cache that only watches', () => {
  it('sees the run in the background', async () => {
    let seen = 0;
    class Watching {
      intercept(_context: ExecutionContext, next: CallHandler) {
        seen++;
        return next.handle();
      }
    }
    const decorators = [UseInterceptors(Watching)];
    const { server } = await serveStale('Fastify', { decorators }, { observers: [Watching] });
    expect((await server.get('/cached')).cache).toBe(STALE);
    await expect.poll(() => seen).toBe(2);
  });
});

describe('On Fastify, the run in the background', () => {
  it('goes by the response schema of the status that its answer will have, not of a 304', async () => {
    const schema = (name: string): object => ({ type: 'object', properties: { [name]: { type: 'number' } } });
    let run = 0;
    const { server } = await serveStale(
      'Fastify',
      { answer: () => ({ run: ++run, secret: 1 }) },
      {
        configure: (app) =>
          (app as NestFastifyApplication)
            .getHttpAdapter()
            .getInstance()
            .addHook('onRoute', (route) => {
              route.schema = { response: { 200: schema('run'), 304: schema('secret') } };
            }),
      },
    );
    const { etag } = (await server.send('/cached', {}, { method: 'HEAD' })).headers;
    await expect.poll(async () => (await server.get('/cached')).body).toBe('{"run":2}');
    pass(120);
    const known = (await server.send('/cached', { 'if-none-match': '*' }, {})).status;
    expect([known, etag]).toEqual([304, expect.stringContaining('W/')]);
    await expect.poll(async () => (await server.get('/cached')).body).toBe('{"run":3}');
  });
});
