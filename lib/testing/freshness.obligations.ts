import { deepEqual, equal, rejects } from 'node:assert/strict';
import { CacheService } from '../core/cache.service.js';
import { LockNotAcquiredError } from '../core/errors.js';
import type { BackendUnderTest } from './describe-backend.js';
import { OVERTAKING } from './overtaking.js';
import { anyKey, gate, pass } from './tools.js';

/** Long enough to be stored and read, over any network; short enough to wait for. */
const TTL_MS = 600;
const LONG_AFTER_MS = TTL_MS + 300;

const failing = (): never => {
  throw new Error('the origin is away');
};

/** Stale values and locks: what the store keeps beyond a ttl, and what two processes agree on through it. */
export function describeFreshness({ backend, runner: { describe, it } }: BackendUnderTest): void {
  const cache = (): CacheService => new CacheService(backend());

  describe('stale values', () => {
    const ttl = `${TTL_MS}ms` as const;

    it('are answered while one load makes them new', async () => {
      const [key, service, slow] = [anyKey(), cache(), gate<string>()];
      const options = { ttl, staleWhileRevalidate: '1h' } as const;
      await service.getOrSet(key, () => 'old', options);
      await pass(LONG_AFTER_MS);
      // What is new lasts until it is seen, however long the machine stands still.
      const lasting = { ...options, ttl: '1h' } as const;
      equal(await service.getOrSet(key, slow.load, lasting), 'old');
      equal(await service.getOrSet(key, slow.load, lasting), 'old');
      await slow.reached;
      slow.open('new');
      while ((await service.get(key)) !== 'new') await pass(20);
      equal(slow.calls(), 1);
    });

    it('are answered in place of an error, to other processes too', async () => {
      const [key, options] = [anyKey(), { ttl, staleIfError: '1h' } as const];
      await cache().getOrSet(key, () => 'old', options);
      await pass(LONG_AFTER_MS);
      equal(await cache().getOrSet(key, failing, options), 'old');
      equal(await cache().get(key), undefined);
      await rejects(cache().getOrSet(key, failing, ttl), /the origin is away/);
    });

    it('are not answered once they were invalidated', async () => {
      const [key, tag, service] = [anyKey(), anyKey(), cache()];
      const options = { ttl, staleIfError: '1h', tags: [tag] } as const;
      await service.getOrSet(key, () => 'old', options);
      await pass(LONG_AFTER_MS);
      await cache().invalidateTags(tag);
      await rejects(service.getOrSet(key, failing, options), /the origin is away/);
    });
  });

  describe('a late refresh of a stale value is not stored', () => {
    for (const [event, overtake] of Object.entries(OVERTAKING)) {
      it(`after ${event}`, async () => {
        const [key, service, late] = [anyKey(), cache(), gate<string>()];
        const options = { ttl: '1h', staleWhileRevalidate: '1h' } as const;
        await new CacheService(backend(), { staleIfError: '1h' }).set(key, 'old', '20ms');
        await pass(30);
        equal(await service.getOrSet(key, late.load, options), 'old');
        await late.reached;
        await overtake(cache(), key);
        const before = await service.get(key);
        late.open('late');
        await pass(30);
        equal(await service.get(key), before);
        equal(await service.getOrSet(key, () => 'fresh'), before ?? 'fresh');
      });
    }
  });

  describe('with lock', () => {
    it('one of two processes loads, and the other gets its value', async () => {
      const [key, slow, other] = [anyKey(), gate<string>(), gate<string>()];
      const loading = cache().getOrSet(key, slow.load, { lock: true });
      await slow.reached;
      const waiting = cache().getOrSet(key, other.load, { lock: true });
      await pass(50);
      slow.open('loaded once');
      deepEqual(await Promise.all([loading, waiting]), ['loaded once', 'loaded once']);
      equal(other.calls(), 0);
    });

    for (const [event, overtake] of Object.entries(OVERTAKING)) {
      it(`a late load is answered but not stored after ${event}`, async () => {
        const [key, service, late] = [anyKey(), cache(), gate<string>()];
        const pending = service.getOrSet(key, late.load, { lock: true });
        await late.reached;
        await overtake(cache(), key);
        const before = await service.get(key);
        late.open('late');
        equal(await pending, 'late');
        equal(await service.get(key), before);
      });
    }
  });

  describe('a lock', () => {
    it('is held by one at a time', async () => {
      const [key, slow] = [anyKey(), gate<string>()];
      const holding = cache().lock(key, '30s', slow.load);
      await slow.reached;
      await rejects(
        cache().lock(key, '30s', () => 'mine', { wait: '50ms' }),
        LockNotAcquiredError,
      );
      slow.open('done');
      equal(await holding, 'done');
      equal(await cache().lock(key, '30s', () => 'mine'), 'mine');
    });

    it('is lost to a clear, and then free', async () => {
      const [key, service, slow] = [anyKey(), cache(), gate<string>()];
      const holding = service.lock(key, '30s', slow.load);
      await slow.reached;
      await service.clear();
      equal(await cache().lock(key, '300ms', () => 'mine'), 'mine');
      slow.open('done');
      equal(await holding, 'done');
    });
  });
}
