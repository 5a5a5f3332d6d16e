import { randomUUID } from 'node:crypto';
import { Controller, Get, Put } from '@nestjs/common';
import { Cached, CachekitModule, CacheEvict } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { type Answer, PLATFORMS, serve, type Server } from './serve.js';

let price = 1;

@Controller('price')
class PriceController {
  @Get()
  @Cached({ ttl: '1h', tags: ['price'] })
  find(): number {
    return price;
  }

  @Put()
  @CacheEvict({ tags: ['price'] })
  raise(): number {
    return ++price;
  }
}

async function start(platform: (typeof PLATFORMS)[number]): Promise<{ proxy: FaultProxy; server: Server }> {
  const proxy = await FaultProxy.to(Number(new URL(inject('redisUrl')).port));
  onTestFinished(() => proxy.takeDown());
  const backend = new RedisBackend({
    url: `redis://127.0.0.1:${proxy.port}`,
    namespace: `outage-${randomUUID()}`,
  });
  const server = await serve(platform, {
    controllers: [PriceController],
    caches: [CachekitModule.forRoot(backend)],
  });
  return { proxy, server };
}

/** What takes Redis away, and brings it back. */
const OUTAGES: Readonly<
  Record<
    string,
    { readonly begin: (proxy: FaultProxy) => unknown; readonly end: (proxy: FaultProxy) => unknown }
  >
> = {
  'is gone': { begin: (proxy) => proxy.takeDown(), end: (proxy) => proxy.bringUp() },
  'is silent': { begin: (proxy) => proxy.stall(), end: (proxy) => proxy.pass() },
  'cuts every connection': {
    begin: (proxy) => {
      proxy.refuse();
      proxy.cut('rst');
    },
    end: (proxy) => proxy.pass(),
  },
};

describeOn('redis', 'With a Redis that goes away', () => {
  describe.each(PLATFORMS)('on %s', (platform) => {
    it.each(Object.keys(OUTAGES))(
      'no request fails, and what was evicted meanwhile is never served, when it %s',
      async (name) => {
        const { begin, end } = OUTAGES[name] as (typeof OUTAGES)[string];
        const { proxy, server } = await start(platform);
        const cacheStatus = async (): Promise<string | undefined> => (await server.get('/price')).cache;
        // Not the second request for sure: one that Redis answers too late is answered past the cache.
        await expect.poll(cacheStatus).toContain('hit');
        const first = await server.get('/price');

        await begin(proxy);
        const during = await Promise.all(Array.from({ length: 20 }, () => server.get('/price')));
        const raised = await server.send('/price', {}, { method: 'PUT' });
        await end(proxy);
        expect(new Set([...during, raised].map(({ status }) => status))).toEqual(new Set([200]));

        const answers: Answer[] = [];
        await expect
          .poll(async () => (answers.push(await server.get('/price')), answers.at(-1)?.cache), {
            timeout: 15_000,
          })
          .toContain('hit');
        expect(new Set(answers.map(({ body }) => body))).toEqual(new Set([raised.body]));
        expect(raised.body).not.toBe(first.body);
      },
    );
  });
});
