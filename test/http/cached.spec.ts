import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Header,
  Injectable,
  Param,
  ParseIntPipe,
  StreamableFile,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  Cached,
  type CachedOptions,
  type CacheEvent,
  CachekitModule,
  type CacheSerializer,
  CacheService,
  InMemoryBackend,
} from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { Gate } from './gate.js';
import { PLATFORMS, serve, type Server } from './serve.js';

const HIT = /^cachekit; hit; ttl=/;
const STORED = 'cachekit; fwd=uri-miss; stored';
const MISS = 'cachekit; fwd=uri-miss';
const COLLAPSED = 'cachekit; fwd=uri-miss; collapsed';

/** A controller whose one handler counts its runs. */
function counting(cached: CachedOptions = {}): new () => { runs: number } {
  @Controller()
  class CountingController {
    runs = 0;
    @Get('count/:id')
    @Cached(cached)
    count(@Param('id', ParseIntPipe) id: number): unknown {
      return { id, run: ++this.runs };
    }
  }
  return CountingController;
}

/** A backend whose every operation fails. */
class BrokenBackend extends InMemoryBackend {
  override get(): never {
    throw new Error('away');
  }
  override getMany(): never {
    throw new Error('away');
  }
  override set(): never {
    throw new Error('away');
  }
  override replace(): never {
    throw new Error('away');
  }
}

function bodies(answers: readonly { body: string }[]): readonly string[] {
  return answers.map(({ body }) => body);
}

describe.each(PLATFORMS)('@Cached on %s', (platform) => {
  it('runs guards on every hit', async () => {
    @Injectable()
    class Members implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        return (
          context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['x-role'] ===
          'member'
        );
      }
    }
    @Controller()
    @UseGuards(Members)
    class ClubController {
      @Get('club')
      @Cached({ scope: 'public' })
      club(): string {
        return 'welcome';
      }
    }
    const server = await serve(platform, { controllers: [ClubController] });
    await server.get('/club', { 'x-role': 'member' });
    expect((await server.get('/club', { 'x-role': 'guest' })).status).toBe(403);
    expect((await server.get('/club', { 'x-role': 'member' })).cache).toMatch(HIT);
  });

  it('runs the handler once for 1,000 concurrent requests', async () => {
    const finish = new Gate();
    const allWait = new Gate();
    let [runs, waiting] = [0, 0];
    @Controller()
    class SlowController {
      @Get('slow')
      @Cached()
      async slow(): Promise<unknown> {
        runs++;
        await finish.opened;
        return { run: runs };
      }
    }
    const onEvent = ({ type }: CacheEvent): void => {
      if (type === 'collapsed' && ++waiting === 999) allWait.open();
    };
    const server = await serve(platform, { controllers: [SlowController], onEvent });
    const all = Array.from({ length: 1_000 }, () => server.get('/slow'));
    await allWait.opened;
    finish.open();
    const answers = await Promise.all(all);
    expect(new Set(bodies(answers))).toEqual(new Set(['{"run":1}']));
    expect(answers.filter(({ cache }) => cache === COLLAPSED)).toHaveLength(999);
    expect(answers.filter(({ cache }) => cache === STORED)).toHaveLength(1);
    expect(runs).toBe(1);
  });

  it('gives the error of the handler to all who wait for it, unchanged, and stores nothing', async () => {
    const finish = new Gate();
    const waits = new Gate();
    const failure = new Error('no cats');
    const caught: unknown[] = [];
    @Catch()
    class Catching implements ExceptionFilter {
      catch(error: unknown, host: ArgumentsHost): void {
        caught.push(error);
        const response = host
          .switchToHttp()
          .getResponse<{ status(code: number): { send(body: string): void } }>();
        response.status(503).send('try later');
      }
    }
    @Controller()
    @UseFilters(Catching)
    class FailingController {
      runs = 0;
      @Get('fail')
      @Cached()
      async fail(): Promise<unknown> {
        if (++this.runs > 1) return 'better now';
        await finish.opened;
        throw failure;
      }
    }
    const onEvent = ({ type }: CacheEvent): void => {
      if (type === 'collapsed') waits.open();
    };
    const server = await serve(platform, { controllers: [FailingController], onEvent });
    const both = [server.get('/fail'), server.get('/fail')];
    await waits.opened;
    finish.open();
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([503, 503]);
    expect(caught).toEqual([failure, failure]);
    expect(caught[0]).toBe(failure);
    expect((await server.get('/fail')).body).toBe('better now');
  });

  it('gives those who wait a stream of their own, and never the one of another', async () => {
    const finish = new Gate();
    const waits = new Gate();
    let runs = 0;
    @Controller()
    class OwnController {
      @Get('own')
      @Cached()
      async own(): Promise<unknown> {
        const run = ++runs;
        await finish.opened;
        return new StreamableFile(Buffer.from(`run ${run}`));
      }
    }
    const onEvent = ({ type }: CacheEvent): void => {
      if (type === 'collapsed') waits.open();
    };
    const server = await serve(platform, { controllers: [OwnController], onEvent });
    const both = [server.get('/own'), server.get('/own')];
    await waits.opened;
    finish.open();
    expect(bodies(await Promise.all(both)).toSorted()).toEqual(['run 1', 'run 2']);
  });

  it('skips pipes on a hit, and never stores what they refuse', async () => {
    const server = await serve(platform, { controllers: [counting()] });
    expect((await server.get('/count/x')).status).toBe(400);
    await server.get('/count/1');
    expect((await server.get('/count/1')).cache).toMatch(HIT);
    expect((await server.get('/count/x')).status).toBe(400);
  });

  it('never caches with the ttl 0, and leaves the answer untouched', async () => {
    for (const server of [
      await serve(platform, { controllers: [counting({ ttl: 0 })] }),
      await serve(platform, { controllers: [counting()], ttl: 0 }),
    ]) {
      await server.get('/count/1');
      const second = await server.get('/count/1');
      expect([second.body, second.cache]).toEqual(['{"id":1,"run":2}', undefined]);
    }
  });

  it('uses its own ttl, else that of the cache', async () => {
    const ttlOf = async (server: Server): Promise<number> => {
      await server.get('/count/1');
      return Number((await server.get('/count/1')).cache?.split('ttl=')[1]);
    };
    const own = await serve(platform, { controllers: [counting({ ttl: '1h' })], ttl: '5m' });
    const inherited = await serve(platform, { controllers: [counting()], ttl: '5m' });
    expect(await ttlOf(own)).toSatisfy((seconds: number) => seconds > 3_500 && seconds <= 3_600);
    expect(await ttlOf(inherited)).toSatisfy((seconds: number) => seconds > 200 && seconds <= 300);
  });

  it('says no time to live for an answer that never expires', async () => {
    const server = await serve(platform, { controllers: [counting({ ttl: Infinity })] });
    await server.get('/count/1');
    expect((await server.get('/count/1')).cache).toBe('cachekit; hit');
  });

  it('goes past the cache when the condition says no', async () => {
    const server = await serve(platform, {
      controllers: [counting({ when: ({ query }) => query['preview'] === undefined })],
    });
    await server.get('/count/1');
    const preview = await server.get('/count/1?preview=1');
    expect([preview.body, preview.cache]).toEqual([
      '{"id":1,"run":2}',
      'cachekit; fwd=bypass; detail=condition',
    ]);
  });

  const fault = (): never => {
    throw new Error('a fault in a callback');
  };
  it.each<[string, CachedOptions, string]>([
    ['when throws', { when: fault }, 'cachekit; fwd=bypass; detail=callback'],
    [
      'when answers a promise',
      { when: (() => Promise.resolve(false)) as never },
      'cachekit; fwd=bypass; detail=callback',
    ],
    ['key throws', { key: fault }, 'cachekit; fwd=bypass; detail=callback'],
    ['key answers nothing', { key: (() => undefined) as never }, 'cachekit; fwd=bypass; detail=callback'],
    ['tags throws', { tags: fault }, 'cachekit; fwd=bypass; detail=callback'],
    ['tags answers a number', { tags: (() => [7]) as never }, 'cachekit; fwd=bypass; detail=callback'],
    [
      'tags answers too many',
      { tags: () => Array.from({ length: 65 }, (_, index) => `${index}`) },
      'cachekit; fwd=bypass; detail=callback',
    ],
    ['unless throws', { unless: fault }, MISS],
    ['unless answers a promise', { unless: (() => Promise.resolve(true)) as never }, MISS],
  ])('answers and runs the handler once when %s', async (_what, options, status) => {
    const server = await serve(platform, { controllers: [counting(options)] });
    expect(await server.get('/count/1')).toMatchObject({
      status: 200,
      body: '{"id":1,"run":1}',
      cache: status,
    });
    expect(await server.get('/count/1')).toMatchObject({
      status: 200,
      body: '{"id":1,"run":2}',
      cache: status,
    });
  });

  it('gives callbacks copies, so that they can not corrupt the request', async () => {
    const greedy: CachedOptions = {
      key: ({ params, query, headers }) => {
        for (const part of [params, query, headers]) Reflect.set(part, 'id', 'corrupted');
        Reflect.set(query['nested'] as object, '0', 'corrupted');
        return 'key';
      },
    };
    const server = await serve(platform, { controllers: [counting(greedy)] });
    expect((await server.get('/count/7?nested=1&nested=2')).body).toBe('{"id":7,"run":1}');
  });

  it('answers while the cache is down', async () => {
    const caches = [CachekitModule.forRoot(new BrokenBackend())];
    const server = await serve(platform, { controllers: [counting()], caches });
    const answers = [await server.get('/count/1'), await server.get('/count/1')];
    expect(bodies(answers)).toEqual(['{"id":1,"run":1}', '{"id":1,"run":2}']);
    expect(answers[1]?.cache).toBe(MISS);
  });

  it('answers and runs the handler once when the cache can not read what it wrote', async () => {
    const serializer: CacheSerializer = {
      serialize: (value) => ({ codec: 'x', payload: JSON.stringify(value) }),
      deserialize: () => {
        throw new Error('unreadable');
      },
    };
    const server = await serve(platform, { controllers: [counting()], serializer });
    const answers = [await server.get('/count/1'), await server.get('/count/1')];
    expect(bodies(answers)).toEqual(['{"id":1,"run":1}', '{"id":1,"run":2}']);
  });

  it('gives up a handler that hangs, and runs it anew for the next request', async () => {
    @Controller()
    class HangingController {
      runs = 0;
      @Get('hang')
      @Cached()
      hang(): unknown {
        return ++this.runs === 1 ? new Promise(() => undefined) : 'awake';
      }
    }
    const server = await serve(platform, { controllers: [HangingController], loadTimeout: '20ms' });
    expect((await server.get('/hang')).status).toBe(500);
    expect((await server.get('/hang')).body).toBe('awake');
  });

  it('adds to what caches before it said', async () => {
    @Controller()
    class TracedController {
      @Get('traced')
      @Cached()
      @Header('Cache-Status', 'origin; hit')
      traced(): string {
        return 'traced';
      }
    }
    const server = await serve(platform, { controllers: [TracedController] });
    expect((await server.get('/traced')).cache).toBe(`origin; hit, ${STORED}`);
    expect((await server.get('/traced')).cache).toMatch(/^origin; hit, cachekit; hit; ttl=/);
  });

  it('works in a controller that inherits its handler', async () => {
    const Base = counting();
    @Controller('derived')
    class DerivedController extends Base {}
    const server = await serve(platform, { controllers: [Base, DerivedController] });
    await server.get('/count/1');
    expect((await server.get('/derived/count/1')).body).toBe('{"id":1,"run":1}');
    expect((await server.get('/derived/count/1')).cache).toMatch(HIT);
  });

  it('finds the cache of its own app', async () => {
    const Shared = counting();
    const first = await serve(platform, { controllers: [Shared] });
    const second = await serve(platform, { controllers: [Shared] });
    await first.get('/count/1');
    expect((await second.get('/count/1')).cache).toBe(STORED);
    expect((await first.get('/count/1')).cache).toMatch(HIT);
  });

  it('is evicted by its tags through CacheService', async () => {
    const server = await serve(platform, {
      controllers: [counting({ tags: ({ params }) => [`count:${params['id']}`, 'all'] })],
    });
    await server.get('/count/1');
    await server.get('/count/2');
    await server.app.get(CacheService).invalidateTags('count:1');
    expect((await server.get('/count/1')).cache).toBe(STORED);
    expect((await server.get('/count/2')).cache).toMatch(HIT);
    await server.app.get(CacheService).invalidateTags('all');
    expect((await server.get('/count/2')).cache).toBe(STORED);
  });

  it('does nothing in an app without CachekitModule', async () => {
    const server = await serve(platform, { controllers: [counting()], caches: [] });
    await server.get('/count/1');
    const second = await server.get('/count/1');
    expect([second.body, second.cache]).toEqual(['{"id":1,"run":2}', undefined]);
  });
});

describe('A cached handler in a unit test', () => {
  it('is an ordinary method', () => {
    const controller = new (counting())() as unknown as { count(id: number): unknown };
    expect([controller.count(1), controller.count(1)]).toEqual([
      { id: 1, run: 1 },
      { id: 1, run: 2 },
    ]);
  });

  it('can be made by a testing module without CachekitModule', async () => {
    const Counting = counting();
    const module = await Test.createTestingModule({ controllers: [Counting] }).compile();
    expect(module.get(Counting)).toBeInstanceOf(Counting);
    await module.close();
  });
});
