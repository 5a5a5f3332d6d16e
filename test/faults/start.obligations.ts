import { Test } from '@nestjs/testing';
import { BackendUnavailableError, type CacheBackend, CachekitModule, CacheService } from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { OutageStage } from './outage-stage.js';
import { OUTAGES } from './outages.js';

/** The server is away when the app starts. */
export function describeStart(stage: OutageStage): void {
  describe('an app that starts', () => {
    for (const outage of OUTAGES) {
      it(`while its server ${outage.what} answers from loads, and hits once the server is there`, async () => {
        const place = await stage.place();
        const restore = await stage.begin(outage, place);
        const cache = await startApp(stage.backend(outage.port(place)));

        expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
        await expect(cache.set('key', 'set')).rejects.toThrow(BackendUnavailableError);
        await restore();
        await stage.untilHits(cache);
      });
    }
  });
}

async function startApp(backend: CacheBackend): Promise<CacheService> {
  const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot(backend)] }).compile();
  onTestFinished(() => module.close());
  await module.init();
  return module.get(CacheService);
}
