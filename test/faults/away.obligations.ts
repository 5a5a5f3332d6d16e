import { inspect } from 'node:util';
import { BackendUnavailableError, type CacheBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import type { OutageStage } from './outage-stage.js';
import { OUTAGES } from './outages.js';

const SECRET = 'a value of somebody';
const MINUTE_MS = 60_000;
const TYPED_FAILURE = { status: 'rejected', reason: expect.any(BackendUnavailableError) as unknown };

/** The server goes away under an app that uses it, and comes back. */
export function describeAway(stage: OutageStage): void {
  for (const outage of OUTAGES) {
    describe(`while the server ${outage.what},`, () => {
      it('loads are answered, commands fail with a typed error, and hits come back after it', async () => {
        const place = await stage.place();
        const { cache } = stage.app(outage.port(place));
        await stage.untilDone(() => cache.set('key', 'stored'));
        const restore = await stage.begin(outage, place);
        for (let round = 0; round < 3; round++) {
          const answers = Array.from({ length: 20 }, () => cache.getOrSet('key', () => 'loaded'));
          expect(new Set(await Promise.all(answers))).toEqual(new Set(['loaded']));
          expect(await cache.get('key')).toBeUndefined();
          await expect(cache.set('other', 'set')).rejects.toThrow(BackendUnavailableError);
        }

        await restore();
        await stage.untilHits(cache);
      });

      it('what is invalidated is not read again, not even by the first read after it', async () => {
        const place = await stage.place();
        const { cache } = stage.app(outage.port(place));
        const eu = cache.namespace('eu');
        await stage.untilDone(() => cache.set('deleted', 'old'));
        await stage.untilDone(() => cache.set('tagged', 'old', { tags: ['tag'] }));
        await stage.untilDone(() => eu.set('inside', 'old'));
        const restore = await stage.begin(outage, place);
        const results = await Promise.allSettled([
          cache.delete('deleted'),
          cache.invalidateTags('tag'),
          eu.clear(),
        ]);
        for (const result of results) expect(result).toMatchObject(TYPED_FAILURE);

        await restore();
        const read = () => Promise.all([cache.get('deleted'), cache.get('tagged'), eu.get('inside')]);
        expect(await read()).toEqual([undefined, undefined, undefined]);
        await stage.untilHits(cache);
        expect(await read()).toEqual([undefined, undefined, undefined]);
      });

      it('what is cleared is not read again, not even by the first read after it', async () => {
        const place = await stage.place();
        const { cache } = stage.app(outage.port(place));
        await stage.untilDone(() => cache.set('key', 'old'));
        const restore = await stage.begin(outage, place);
        const [result] = await Promise.allSettled([cache.clear()]);
        // A `clear` has a minute, since it walks through all entries: on a slow network it may well succeed.
        if (!outage.answersLate) expect(result).toMatchObject(TYPED_FAILURE);

        await restore();
        expect(await cache.get('key')).toBeUndefined();
        await stage.untilHits(cache);
        expect(await cache.get('key')).toBeUndefined();
      });
    });
  }

  describe('the operations of the backend itself reject, with a typed error that tells no value,', () => {
    for (const outage of OUTAGES.filter(({ answersLate }) => !answersLate)) {
      it(`when the server ${outage.what}`, async () => {
        const place = await stage.place();
        const backend = stage.backend(outage.port(place));
        await stage.untilDone(async () => backend.open());
        await stage.begin(outage, place);
        const results = await Promise.allSettled(operationsOf(backend).map(async (operate) => operate()));

        for (const result of results) {
          expect(result).toMatchObject(TYPED_FAILURE);
          expect(inspect(result, { depth: 9, showHidden: true })).not.toContain(SECRET);
        }
      });
    }
  });
}

function operationsOf(backend: CacheBackend): readonly (() => unknown)[] {
  const bytes = Buffer.from(SECRET);
  return [
    () => backend.get('key'),
    () => backend.getMany(['key', 'other']),
    () => backend.set('key', bytes, MINUTE_MS),
    () => backend.replace('key', undefined, bytes, MINUTE_MS),
    () => backend.delete(['key']),
    () => backend.clear(),
  ];
}
