import { request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Put,
  RequestTimeoutException,
  Res,
} from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached, CacheEvict, CacheService, type HttpRequest } from 'nestjs-cachekit';
import { defer, map, race, switchMap, throwError } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Gate } from './gate.js';
import { PLATFORMS, serve, type Server } from './serve.js';

/** Only the clocks stand still: timers and sockets go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** What would end the process. */
function watchRejections(): readonly unknown[] {
  const rejections: unknown[] = [];
  const listen = (reason: unknown): number => rejections.push(reason);
  process.on('unhandledRejection', listen);
  onTestFinished(() => void process.off('unhandledRejection', listen));
  return rejections;
}

/** Calls back when the connection of a request is gone. */
const whenGone = (gone: () => void) => (app: INestApplication) =>
  app.use(
    (request: { socket: { once(event: 'close', done: () => void): void } }, _: unknown, next: () => void) => {
      request.socket.once('close', gone);
      next();
    },
  );

const collapsed = ({ app }: Server): number => app.get(CacheService).stats().collapsed;

describe.each(PLATFORMS)('On %s, of requests at the same time,', (platform) => {
  it('those who wait get their answer when the client whose handler runs goes away', async () => {
    const [slow, gone, rejections] = [new Gate(), new Gate(), watchRejections()];
    let runs = 0;
    @Controller()
    class SlowController {
      @Get('slow')
      @Cached()
      async find(): Promise<{ run: number }> {
        const run = ++runs;
        await slow.opened;
        return { run };
      }
    }
    const server = await serve(platform, { controllers: [SlowController], configure: whenGone(gone.open) });
    const { port } = (server.app.getHttpServer() as { address(): AddressInfo }).address();
    const leader = sendRequest({ host: '127.0.0.1', port, path: '/slow', agent: false });
    leader.on('error', () => undefined).end();
    await expect.poll(() => runs).toBe(1);
    const waiting = Array.from({ length: 5 }, () => server.get('/slow'));
    await expect.poll(() => collapsed(server)).toBe(5);
    leader.destroy();
    await gone.opened;
    slow.open();
    for (const { status, body } of await Promise.all(waiting))
      expect([status, body]).toEqual([200, '{"run":1}']);
    expect((await server.get('/slow')).cache).toMatch(/hit/);
    expect(rejections).toEqual([]);
  });

  it.each<[string, () => unknown]>([
    ['an object', () => ({ seen: [] })],
    ['a Map inside', () => ({ seen: [], map: new Map([['a', 1]]) })],
    ['a large object', () => ({ seen: [], text: 'x'.repeat(20_000) })],
  ])('none sees what an interceptor outside writes for another into %s', async (_what, answer) => {
    const slow = new Gate();
    let runs = 0;
    @Controller()
    class SlowController {
      @Get('slow')
      @Cached()
      async find(): Promise<unknown> {
        runs++;
        await slow.opened;
        return answer();
      }
    }
    const write = {
      intercept: (context: ExecutionContext, next: CallHandler) => {
        const { headers } = context.switchToHttp().getRequest<HttpRequest>();
        return next.handle().pipe(
          map((value: { seen: unknown[] }) => {
            value.seen.push(headers['x-who']);
            return value;
          }),
        );
      },
    };
    const server = await serve(platform, {
      controllers: [SlowController],
      configure: (app) => app.useGlobalInterceptors(write),
    });
    const ask = async (who: number): Promise<void> => {
      const { body } = await server.get('/slow', { 'x-who': String(who) });
      expect(JSON.parse(body)).toMatchObject({ seen: [String(who)] });
    };
    const asked = [1, 2, 3, 4].map(ask);
    await expect.poll(() => collapsed(server)).toBe(3);
    slow.open();
    await Promise.all(asked);
    for (const who of [5, 6, 7]) await ask(who);
    expect(runs).toBe(1);
  });

  it('none sees what an interceptor outside writes for another into bytes', async () => {
    @Controller()
    class BytesController {
      @Get('bytes')
      @Cached()
      find(): Buffer {
        return Buffer.from('nobody');
      }
    }
    const write = {
      intercept: (context: ExecutionContext, next: CallHandler) => {
        const { headers } = context.switchToHttp().getRequest<HttpRequest>();
        return next.handle().pipe(
          map((bytes: Buffer) => {
            const before = bytes.toString();
            bytes.write(String(headers['x-who']));
            return `${before}, now ${bytes.toString()}`;
          }),
        );
      },
    };
    const server = await serve(platform, {
      controllers: [BytesController],
      configure: (app) => app.useGlobalInterceptors(write),
    });
    for (const who of ['alice1', 'alice2', 'alice3'])
      expect((await server.get('/bytes', { 'x-who': who })).body).toBe(`nobody, now ${who}`);
  });

  it('each is who it is, in whatever order identify finds that out', async () => {
    const found = new Map(['alice', 'bob'].map((who) => [who, new Gate()]));
    const asked: string[] = [];
    const identify = async ({ headers }: HttpRequest): Promise<string> => {
      const who = String(headers['x-who']);
      asked.push(who);
      await found.get(who)?.opened;
      return who;
    };
    @Controller()
    class RunsController {
      private runs = 0;

      @Get('runs')
      @Cached()
      find(): number {
        return ++this.runs;
      }
    }
    const server = await serve(platform, { controllers: [RunsController], identify });
    const [alice, bob] = ['alice', 'bob'].map((who) => server.get('/runs', { 'x-who': who }));
    await expect.poll(() => asked).toHaveLength(2);
    found.get('bob')?.open();
    expect((await bob)?.body).toBe('1');
    found.get('alice')?.open();
    expect((await alice)?.body).toBe('2');
    expect((await server.get('/runs', { 'x-who': 'bob' })).body).toBe('1');
  });

  it('none is answered with what was read before an eviction that came before it', async () => {
    const slow = new Gate();
    let [runs, price] = [0, 1];
    @Controller()
    class PricesController {
      @Get('price')
      @Cached({ tags: ['price'] })
      async find(): Promise<number> {
        const read = price;
        if (++runs === 1) await slow.opened;
        return read;
      }

      @Put('price')
      @CacheEvict({ tags: ['price'] })
      raise(): void {
        price = 2;
      }
    }
    const server = await serve(platform, { controllers: [PricesController] });
    const before = server.get('/price');
    await expect.poll(() => runs).toBe(1);
    await server.send('/price', {}, { method: 'PUT' });
    expect((await server.get('/price')).body).toBe('2');
    slow.open();
    expect((await before).body).toBe('1');
    expect(await server.get('/price')).toMatchObject({
      body: '2',
      cache: expect.stringContaining('hit') as string,
    });
  });
});

interface Reply {
  code(status: number): { header(name: string, value: string): unknown };
}

describe('On Fastify, a request that has lost its patience', () => {
  it('keeps its own status and headers when its answer comes while an onSend hook still runs', async () => {
    const [slow, impatient, sending, hookRuns] = [new Gate(), new Gate(), new Gate(), new Gate()];
    @Controller()
    class SlowController {
      @Get('slow')
      @Cached()
      async find(@Res({ passthrough: true }) reply: Reply): Promise<object> {
        await slow.opened;
        reply.code(203).header('link', '</next>');
        return { a: 1 };
      }
    }
    const giveUp = defer(() => impatient.opened).pipe(
      switchMap(() => throwError(() => new RequestTimeoutException())),
    );
    const patience = {
      intercept: (context: ExecutionContext, next: CallHandler) => {
        const { headers } = context.switchToHttp().getRequest<HttpRequest>();
        return headers['x-hurry'] === undefined ? next.handle() : race(next.handle(), giveUp);
      },
    };
    const server = await serve('Fastify', {
      controllers: [SlowController],
      configure: (app) => {
        app.useGlobalInterceptors(patience);
        const fastify = (app as NestFastifyApplication).getHttpAdapter().getInstance();
        fastify.addHook('onSend', async (_request, { statusCode }, payload) => {
          if (statusCode !== 408) return payload;
          hookRuns.open();
          await sending.opened;
          return payload;
        });
      },
    });
    const leader = server.get('/slow');
    await expect.poll(() => server.app.get(CacheService).stats().misses).toBe(1);
    const hurried = server.get('/slow', { 'x-hurry': 'yes' });
    await expect.poll(() => collapsed(server)).toBe(1);
    impatient.open();
    await hookRuns.opened;
    slow.open();
    expect((await leader).status).toBe(203);
    sending.open();
    const { status, headers, cache } = await hurried;
    expect([status, headers['link'], cache]).toEqual([408, undefined, undefined]);
  });
});

describe.each(PLATFORMS)('On %s, nothing is left unhandled', (platform) => {
  it('when an identify that is async throws, and its requests are answered past the cache', async () => {
    const rejections = watchRejections();
    @Controller()
    class AnyController {
      private runs = 0;

      @Get('any')
      @Cached()
      find(): number {
        return ++this.runs;
      }
    }
    const identify = async (): Promise<string> => {
      await new Promise(setImmediate);
      throw new Error('no connection');
    };
    const server = await serve(platform, { controllers: [AnyController], identify });
    for (const body of ['1', '2'])
      expect(await server.get('/any')).toMatchObject({
        status: 200,
        body,
        cache: 'cachekit; fwd=bypass; detail=identity',
      });
    await new Promise(setImmediate);
    expect(rejections).toEqual([]);
  });

  it('when the app ends while a handler runs again in the background, and that fails', async () => {
    const [slow, rejections] = [new Gate(), watchRejections()];
    let runs = 0;
    @Controller()
    class StaleController {
      @Get('stale')
      @Cached({ ttl: '1m', staleWhileRevalidate: '10m' })
      async find(): Promise<number> {
        if (++runs === 1) return runs;
        await slow.opened;
        throw new Error('no connection');
      }
    }
    const server = await serve(platform, { controllers: [StaleController] });
    await server.get('/stale');
    vi.advanceTimersByTime(120_000);
    expect((await server.get('/stale')).body).toBe('1');
    await expect.poll(() => runs).toBe(2);
    const closed = server.app.close();
    slow.open();
    await closed;
    await new Promise(setImmediate);
    expect(rejections).toEqual([]);
  });
});
