import { Controller, Inject, Injectable, type LogLevel, Param, Post } from '@nestjs/common';
import {
  Cached,
  CacheEvict,
  CachekitModule,
  CachePut,
  CacheService,
  InMemoryBackend,
  type Stored,
} from 'nestjs-cachekit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serve, type Server } from './serve.js';

/** A store that can be taken away. */
class LeavingBackend extends InMemoryBackend {
  isAway: boolean;

  constructor(state: 'there' | 'away') {
    super();
    this.isAway = state === 'away';
  }

  override async open(): Promise<void> {
    this.check();
  }

  override get(key: string): Stored | undefined {
    this.check();
    return super.get(key);
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): Stored {
    this.check();
    return super.set(key, bytes, ttlMs);
  }

  private check(): void {
    if (this.isAway) throw new Error('connection refused');
  }
}

@Injectable()
class Cats {
  @Cached('1m')
  async find(name: string): Promise<string> {
    return name;
  }

  @CachePut({ method: 'find' })
  async save(name: string): Promise<string> {
    return name;
  }
}

@Controller('cats')
class CatsController {
  constructor(@Inject(Cats) private readonly cats: Cats) {}

  @Post(':name')
  @CacheEvict({ tags: ['cats'] })
  save(@Param('name') name: string): Promise<string> {
    return this.cats.save(name);
  }

  @Post()
  @CacheEvict({ tags: ['cats'] })
  add(): string {
    return 'added';
  }
}

interface App {
  readonly backend: LeavingBackend;
  readonly cache: CacheService;
  readonly server: Server;
  /** What this package says in the app's log: the level and the text. */
  readonly log: readonly (readonly [LogLevel, string])[];
}

async function start(backend: LeavingBackend): Promise<App> {
  const log: [LogLevel, string][] = [];
  const keep =
    (level: LogLevel) =>
    (message: unknown, ...more: unknown[]) => {
      if (more.at(-1) === 'Cachekit') log.push([level, String(message)]);
    };
  const server = await serve('Express', {
    controllers: [CatsController],
    providers: [Cats],
    caches: [CachekitModule.forRoot(backend)],
    configure: (app) => app.useLogger({ log: keep('log'), warn: keep('warn'), error: keep('error') }),
  });
  return { backend, server, log, cache: server.app.get(CacheService) };
}

const pass = (seconds: number): unknown => vi.setSystemTime(Date.now() + seconds * 1_000);

describe('The log of an app', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  it('has an error for an eviction that failed, whatever else has failed before', async () => {
    const { server, log } = await start(new LeavingBackend('away'));
    await server.send('/cats', {}, { method: 'POST' });
    await server.send('/cats', {}, { method: 'POST' });
    expect(log).toEqual([
      ['warn', 'the cache: the app goes on, but open failed: connection refused'],
      [
        'error',
        expect.stringMatching(/^the cache: @CacheEvict on CatsController\.add: .*stale.*connection refused/),
      ],
    ]);
  });

  it('has an error for an eviction that failed also after a @CachePut that did', async () => {
    const { backend, server, log } = await start(new LeavingBackend('there'));
    backend.isAway = true;
    await server.send('/cats/tom', {}, { method: 'POST' });
    expect(log.filter(([level]) => level === 'error')).toEqual([
      ['error', expect.stringContaining('@CachePut on Cats.save: the new answer was not stored')],
      ['error', expect.stringContaining('@CacheEvict on CatsController.save: ')],
    ]);
  });

  it('says once in half a minute that a cache fails, and how often it did meanwhile', async () => {
    const { cache, log } = await start(new LeavingBackend('away'));
    await cache.get('key');
    await cache.get('key');
    pass(31);
    await cache.get('key');
    expect(log).toEqual([
      ['warn', expect.stringContaining('open failed')],
      ['warn', expect.stringMatching(/get failed: .*\(and 2 more like it since the last message\)$/)],
    ]);
  });

  it('says when the cache works again, and of the next failure at once', async () => {
    const { backend, cache, log } = await start(new LeavingBackend('away'));
    await cache.get('key');
    pass(4);
    backend.isAway = false;
    await cache.get('key');
    pass(5);
    await cache.get('key');
    expect(log).toHaveLength(1);
    await cache.set('key', 1);
    await cache.get('key');
    backend.isAway = true;
    await cache.get('key');
    expect(log.slice(1)).toEqual([
      ['log', 'the cache: works again after 9 s, 2 failures'],
      ['warn', expect.stringMatching(/get failed: [^(]*\("key"\): connection refused$/)],
    ]);
  });

  it('does not say so while successes and failures come by turns', async () => {
    const { backend, cache, log } = await start(new LeavingBackend('there'));
    for (let turn = 0; turn < 10; turn++) {
      backend.isAway = true;
      await cache.get('key');
      backend.isAway = false;
      await cache.set('key', turn);
      pass(2);
    }
    expect(log).toEqual([['warn', expect.stringContaining('get failed')]]);
  });

  it('takes a backend that holds broken bytes for one that works', async () => {
    const { backend, cache, log } = await start(new LeavingBackend('there'));
    backend.set('v:key', Buffer.from('broken'), 60_000);
    await cache.get('key');
    pass(10);
    await cache.set('key', 1);
    expect(log).toEqual([['warn', expect.stringContaining('decode failed for "key": ')]]);
  });
});
