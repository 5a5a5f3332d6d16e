import { CacheService } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { watchResources } from '../backends/watch-resources.js';
import type { OutageStage } from './outage-stage.js';
import { OUTAGES } from './outages.js';

/** The backend is closed while its server is away. */
export function describeClosing(stage: OutageStage): void {
  for (const outage of OUTAGES) {
    describe(`closing while the server ${outage.what},`, () => {
      it('resolves, settles what is under way, and leaves no timer and no socket', async () => {
        const place = await stage.place();
        const watch = watchResources();
        const backend = stage.backend(outage.port(place));
        await stage.untilDone(async () => backend.open());
        await stage.begin(outage, place);
        const pending = Promise.allSettled([backend.get('key'), backend.clear()]);
        await backend.close();

        await pending;
        await expect.poll(() => watch.left()).toEqual([]);
      });

      it('resolves also when it could never connect', async () => {
        const place = await stage.place();
        await stage.begin(outage, place);
        const watch = watchResources();
        const backend = stage.backend(outage.port(place));
        const opening = Promise.allSettled([backend.open()]);
        expect(await new CacheService(backend).getOrSet('key', () => 'loaded')).toBe('loaded');
        await backend.close();

        await opening;
        await expect.poll(() => watch.left()).toEqual([]);
      });
    });
  }
}
