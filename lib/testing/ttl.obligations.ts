import { deepEqual, equal, ok } from 'node:assert/strict';
import { CacheService } from '../core/cache.service.js';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, bytes, pass, text, whileItLasts } from './tools.js';

const MONTH_AND_A_DAY_MS = 31 * 86_400_000;
const CENTURY_MS = 100 * 365 * 86_400_000;

/** A ttl means the same on every backend: not shorter, not longer, and in seconds for people. */
export function describeTtls({ backend, runner: { describe, it } }: BackendUnderTest): void {
  const cache = (): CacheService => new CacheService(backend());

  describe('ttl', () => {
    it('is over when it is over', async () => {
      const key = anyKey();
      let shortMs = 0;
      const seen = await whileItLasts(300, async (ttlMs) => {
        shortMs = ttlMs;
        await cache().set(key, 'short', ttlMs / 1_000);
        return cache().get(key);
      });
      equal(seen, 'short');
      await pass(shortMs + 50);
      equal(await cache().get(key), undefined);
      equal(await cache().has(key), false);
      equal(await cache().getOrSet(key, () => 'new'), 'new');
      equal(await cache().get(key), 'new');
    });

    it('keeps an entry until it is over', async () => {
      const key = anyKey();
      const seen = await whileItLasts(1_900, async (ttlMs) => {
        await cache().set(key, 'kept', ttlMs / 1_000);
        await pass(ttlMs - 400);
        return cache().get(key);
      });
      equal(seen, 'kept');
    });

    it('is that of the last write: a longer one is not cut short by the one before', async () => {
      const [forever, longer, replaced] = [anyKey(), anyKey(), anyKey()];
      await backend().set(forever, bytes('1'), 500);
      await backend().set(longer, bytes('1'), 500);
      const { version } = await backend().set(replaced, bytes('1'), 500);
      await backend().set(forever, bytes('2'), Infinity);
      await backend().set(longer, bytes('2'), 60_000);
      await backend().replace(replaced, version, bytes('2'), 60_000);
      await pass(2_200);
      deepEqual((await backend().getMany([forever, longer, replaced])).map(text), ['2', '2', '2']);
    });

    it('may be longer than 30 days, and than a century', async () => {
      const [month, century] = [anyKey(), anyKey()];
      await backend().set(month, bytes('month'), MONTH_AND_A_DAY_MS);
      await backend().set(century, bytes('century'), CENTURY_MS);
      equal(text(await backend().get(month)), 'month');
      equal(text(await backend().get(century)), 'century');
    });

    it('may be a millisecond', async () => {
      const key = anyKey();
      await cache().set(key, 'brief', '1ms');
      await pass(5);
      equal(await cache().get(key), undefined);
    });

    it('is told in seconds, Infinity for ever, undefined for nothing', async () => {
      const [minute, forever] = [anyKey(), anyKey()];
      await cache().set(minute, 1, '1m');
      await cache().set(forever, 1, Infinity);
      const seconds = (await cache().ttl(minute)) ?? 0;
      ok(seconds > 50 && seconds <= 60, `${seconds} s`);
      equal(await cache().ttl(forever), Infinity);
      equal(await cache().ttl(anyKey()), undefined);
    });

    it('of 0 stores nothing, and lets no older value survive', async () => {
      const key = anyKey();
      await cache().set(key, 'old');
      await cache().set(key, 'new', 0);
      equal(await cache().get(key), undefined);
      equal(await cache().getOrSet(key, () => 'loaded', 0), 'loaded');
      equal(await cache().get(key), undefined);
    });

    it('is renewed by touch, which removes with 0 and says whether there was anything', async () => {
      const key = anyKey();
      await cache().set(key, 'value', '1m');
      equal(await cache().touch(key, '1h'), true);
      ok(((await cache().ttl(key)) ?? 0) > 3_000);
      equal(await cache().touch(key, 0), true);
      equal(await cache().get(key), undefined);
      equal(await cache().touch(key, '1h'), false);
    });

    it('of a number is kept by increment, which loses none of 20 at once', async () => {
      const key = anyKey();
      await cache().set(key, 100, '1m');
      const service = cache();
      await Promise.all(Array.from({ length: 20 }, async () => service.increment(key, 2)));
      equal(await service.get(key), 140);
      const seconds = (await service.ttl(key)) ?? 0;
      ok(seconds > 50 && seconds <= 60, `${seconds} s`);
    });

    it('of a number that was missing is the one given to increment', async () => {
      const key = anyKey();
      equal(await cache().increment(key, 1.5, '1h'), 1.5);
      ok(((await cache().ttl(key)) ?? 0) > 3_000);
      equal(await cache().increment(key, -2), -0.5);
      equal(await cache().increment(anyKey(), 5, 0), 5);
    });
  });
}
