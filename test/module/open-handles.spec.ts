import { Controller, Get, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { type CacheBackend, Cached, CachekitModule, CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describe, expect, inject, it } from 'vitest';
import { watchResources } from '../backends/watch-resources.js';
import { patient } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';

@Controller()
class CatsController {
  @Get('cats')
  @Cached('1h')
  find(): string[] {
    return ['Tom'];
  }
}

async function start(backend: CacheBackend): Promise<INestApplication> {
  const imports = [CachekitModule.forRoot(backend)];
  const module = await Test.createTestingModule({ imports, controllers: [CatsController] }).compile();
  const app = module.createNestApplication();
  await app.listen(0, '127.0.0.1');
  return app;
}

/** Uses every kind of thing that could be left behind: a hit over HTTP, a load that fails, one that is too late. */
async function use(app: INestApplication): Promise<void> {
  const cache = app.get(CacheService);
  const url = `${await app.getUrl()}/cats`;
  await (await fetch(url)).text();
  expect((await fetch(url)).headers.get('cache-status')).toMatch(/^cachekit; hit/);
  await cache.set('short', 1, '10ms');
  await expect(cache.getOrSet('failing', () => Promise.reject(new Error('failed')))).rejects.toThrow(
    'failed',
  );
  const hang = (): Promise<never> => new Promise(() => undefined);
  await expect(cache.getOrSet('hanging', hang, { loadTimeout: '10ms' })).rejects.toThrow('loadTimeout');
}

function leavesNothing(title: string, make: () => CacheBackend): void {
  it(`leaves no timer and no socket of ${title}, and starts again on the same instance`, async () => {
    const watch = watchResources();
    const backend = make();
    for (let round = 0; round < 2; round++) {
      const app = await start(backend);
      await use(app);
      await app.close();
      expect(await watch.left()).toEqual([]);
    }
  });
}

describe('An app that was closed', () => {
  leavesNothing('InMemoryBackend', () => new InMemoryBackend());

  describeOn('redis', 'on a Redis', () => {
    leavesNothing('RedisBackend', () =>
      patient(new RedisBackend({ url: inject('redisUrl'), namespace: 'open-handles' })),
    );
  });
});
