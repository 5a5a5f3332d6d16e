import {
  BadRequestException,
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Post,
  Put,
  Redirect,
  Res,
  Sse,
  StreamableFile,
} from '@nestjs/common';
import { concat, NEVER, of } from 'rxjs';
import { Cached, CacheEvict, type CacheEvent, CachekitModule, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { type Answer, PLATFORMS, serve, type Server } from './serve.js';

const HIT = /^cachekit; hit; ttl=/;
const STORED = 'cachekit; fwd=uri-miss; stored';

interface AnyResponse {
  status(code: number): { send(body: string): void };
}

@Controller('cats')
class CatsController {
  private cats = new Map([['1', 'Tom']]);

  @Get(':id')
  @Cached({ tags: ({ params }) => [`cat:${params['id']}`] })
  find(@Param('id') id: string): unknown {
    return { name: this.cats.get(id) };
  }
  @Put(':id')
  @CacheEvict({ tags: ({ params }) => [`cat:${params['id']}`] })
  rename(@Param('id') id: string, @Body() { name }: { name: string }): unknown {
    this.cats.set(id, name);
    return { name };
  }
  @Post('by-body')
  @CacheEvict({ tags: ({ request }) => [`cat:${(request as { body: { id: string } }).body.id}`] })
  byBody(): string {
    return 'done';
  }
  @Delete(':id')
  @HttpCode(204)
  @CacheEvict({ tags: ({ params }) => [`cat:${params['id']}`] })
  remove(@Param('id') id: string): void {
    this.cats.delete(id);
  }
  @Post('refused')
  @CacheEvict({ tags: ['cat:1'] })
  refused(): never {
    throw new BadRequestException();
  }
  @Post('failed')
  @HttpCode(422)
  @CacheEvict({ tags: ['cat:1'] })
  failed(): string {
    return 'failed';
  }
  @Post('by-hand/:status')
  @CacheEvict({ tags: ['cat:1'] })
  byHand(@Param('status') status: string, @Res() response: AnyResponse): void {
    response.status(Number(status)).send('by hand');
  }
  @Post('moved')
  @Redirect('/cats/1', 303)
  @CacheEvict({ tags: ['cat:1'] })
  moved(): void {}
  @Post('file')
  @CacheEvict({ tags: ['cat:1'] })
  file(): StreamableFile {
    return new StreamableFile(Buffer.from('a file'));
  }
  @Get('export/all')
  @CacheEvict({ tags: ['cat:1'] })
  export(): string {
    return 'exported';
  }
  @Post('twice')
  @CacheEvict({ tags: ['unknown'] })
  @CacheEvict({ tags: ['cat:1'], cache: 'second' })
  twice(): string {
    return 'done';
  }
  @Get('second/:id')
  @Cached({ tags: ['cat:1'], cache: 'second' })
  second(): string {
    return 'second';
  }
  @Post('everything')
  @CacheEvict({ all: true })
  everything(): string {
    return 'done';
  }
  @Post('before/:status')
  @CacheEvict({ tags: ['cat:1'], before: true })
  before(@Param('status') status: string): string {
    if (status !== '201') throw new BadRequestException();
    return 'done';
  }
  @Post('fault')
  @CacheEvict({
    tags: () => {
      throw new Error('a fault in a callback');
    },
  })
  fault(): string {
    return 'done';
  }
}

const caches = (): ReturnType<typeof CachekitModule.forRoot>[] => [
  CachekitModule.forRoot(),
  CachekitModule.forRoot(undefined, { name: 'second' }),
];

function post(server: Server, path: string, body: object = {}, method = 'POST'): Promise<Answer> {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': text.length };
  return server.send(path, headers, { method, body: text });
}

/** Whether `/cats/1` is still cached after an operation. */
async function survives(server: Server, operation: () => Promise<Answer>): Promise<boolean> {
  await server.get('/cats/1');
  await operation();
  return HIT.test(String((await server.get('/cats/1')).cache));
}

describe.each(PLATFORMS)('@CacheEvict on %s', (platform) => {
  it('evicts what its handler changed before it answers', async () => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    await server.get('/cats/1');
    const answer = await post(server, '/cats/1', { name: 'Tim' }, 'PUT');
    expect(answer.body).toBe('{"name":"Tim"}');
    expect((await server.get('/cats/1')).body).toBe('{"name":"Tim"}');
  });

  it('spares what carries other tags', async () => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    expect(await survives(server, () => post(server, '/cats/2', { name: 'Jim' }, 'PUT'))).toBe(true);
  });

  it.each([
    ['takes its tags from the body', '/cats/by-body', 'POST', 201],
    ['answers nothing', '/cats/1', 'DELETE', 204],
    ['answers by itself', '/cats/by-hand/200', 'POST', 200],
    ['redirects', '/cats/moved', 'POST', 303],
    ['answers with a stream', '/cats/file', 'POST', 201],
  ])('evicts after a handler that %s', async (_what, path, method, status) => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    let answer: Answer | undefined;
    const operation = async (): Promise<Answer> => (answer = await post(server, path, { id: '1' }, method));
    expect(await survives(server, operation)).toBe(false);
    expect(answer?.status).toBe(status);
  });

  it('evicts after a GET, too', async () => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    expect(await survives(server, () => server.get('/cats/export/all'))).toBe(false);
  });

  it.each([
    ['throws', '/cats/refused', 400],
    ['has an error status', '/cats/failed', 422],
    ['answers an error by itself', '/cats/by-hand/500', 500],
  ])('evicts nothing after a handler that %s', async (_what, path, status) => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    let answer: Answer | undefined;
    expect(await survives(server, async () => (answer = await post(server, path)))).toBe(true);
    expect(answer?.status).toBe(status);
  });

  it('empties the whole cache with all', async () => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    await server.get('/cats/2');
    await server.get('/cats/second/1');
    expect(await survives(server, () => post(server, '/cats/everything'))).toBe(false);
    expect((await server.get('/cats/2')).cache).toBe(STORED);
    expect((await server.get('/cats/second/1')).cache).toMatch(HIT);
  });

  it.each([201, 400])('evicts with before, also when the handler answers %i', async (status) => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    let answer: Answer | undefined;
    const operation = async (): Promise<Answer> => (answer = await post(server, `/cats/before/${status}`));
    expect(await survives(server, operation)).toBe(false);
    expect(answer?.status).toBe(status);
  });

  it('takes effect in every cache that it names', async () => {
    const server = await serve(platform, { controllers: [CatsController], caches: caches() });
    await server.get('/cats/second/1');
    expect(await survives(server, () => post(server, '/cats/twice'))).toBe(true);
    expect((await server.get('/cats/second/1')).cache).toBe(STORED);
  });

  it('lets the request succeed when the eviction fails, and tells', async () => {
    const events: CacheEvent[] = [];
    class ReadOnlyBackend extends InMemoryBackend {
      override set(): never {
        throw new Error('read-only');
      }
    }
    const server = await serve(platform, {
      controllers: [CatsController],
      caches: [
        CachekitModule.forRoot(new ReadOnlyBackend(), { onEvent: (event) => events.push(event) }),
        CachekitModule.forRoot(undefined, { name: 'second' }),
      ],
    });
    const consequences = {
      '/cats/by-body': /It is made up for/,
      '/cats/fault': /until they expire\. a fault/,
    };
    for (const [path, consequence] of Object.entries(consequences)) {
      events.length = 0;
      expect(await post(server, path, { id: '1' })).toMatchObject({ status: 201, body: 'done' });
      const told = events.filter((event) => event.type === 'error' && event.operation === 'evict');
      expect(told).toHaveLength(1);
      expect(told).toMatchObject([{ error: { message: expect.stringMatching(consequence) as string } }]);
    }
    expect(server.warnings.length).toBeGreaterThan(0);
  });

  it('does nothing in an app without CachekitModule', async () => {
    @Controller()
    class EventsController {
      @Sse('events')
      @CacheEvict({ tags: ['a'] })
      events(): unknown {
        return concat(of({ data: 'first' }), NEVER);
      }
    }
    const server = await serve(platform, { controllers: [CatsController, EventsController], caches: [] });
    expect(await server.readUntil('/events', 'data: first')).toContain('data: first');
    expect((await post(server, '/cats/by-body', { id: '1' })).status).toBe(201);
  });
});
