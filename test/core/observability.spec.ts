import { randomUUID } from 'node:crypto';
import { type CacheEvent, CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';

describe('events$', () => {
  it('tells every subscriber what happens while it is subscribed', async () => {
    const cache = new CacheService(new InMemoryBackend());
    const [first, second]: CacheEvent[][] = [[], []];
    const subscription = cache.events$.subscribe((event) => first?.push(event));
    await cache.set('key', 1);
    cache.events$.subscribe((event) => second?.push(event));
    await cache.get('key');
    subscription.unsubscribe();
    await cache.delete('key');

    const [set, hit, removed] = [
      { type: 'set', key: 'key' },
      { type: 'hit', key: 'key', stale: false },
      { type: 'delete', key: 'key' },
    ];
    expect(first).toEqual([set, hit]);
    expect(second).toEqual([hit, removed]);
  });

  it('tells which entries the backend in memory evicted', async () => {
    const cache = new CacheService(new InMemoryBackend({ maxEntries: 2 }));
    const evicted: string[] = [];
    cache.events$.subscribe((event) => event.type === 'evict' && evicted.push(event.key));
    for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, 1);
    await cache.delete('c');
    expect(evicted).toEqual(['a', 'b']);
  });
});

describe('stats', () => {
  it('count what happened since the cache was made', async () => {
    const cache = new CacheService(new InMemoryBackend({ maxEntries: 3 }));
    const key = randomUUID();
    await Promise.all([1, 2, 3].map(() => cache.getOrSet(key, () => Promise.resolve('value'))));
    await cache.get(key);
    await cache.getMany([key, 'other']);
    await cache.getOrSet('nothing', () => undefined);
    await cache.delete([key, 'other']);

    expect(cache.stats()).toEqual({
      hits: 2,
      staleHits: 0,
      misses: 3,
      hitRatio: 0.4,
      collapsed: 2,
      sets: 1,
      deletes: 2,
      evictions: 0,
      notStored: 1,
      refreshes: 0,
      failedRefreshes: 0,
      timeouts: 0,
      errors: 0,
      breaker: 'closed',
      pendingInvalidations: 0,
    });
  });

  it('tell of invalidations that are pending, and of a backend that is silent', async () => {
    const backend = new InMemoryBackend();
    const cache = new CacheService(backend);
    const away = (): never => {
      throw new Error('away');
    };
    backend.delete = away;
    await expect(cache.delete(['a', 'b'])).rejects.toThrow('away');
    expect(cache.stats()).toMatchObject({ errors: 1, pendingInvalidations: 2 });
    backend.clear = away;
    await expect(cache.clear()).rejects.toThrow('away');
    expect(cache.stats().pendingInvalidations).toBe(Infinity);
  });

  it('have a hit ratio of 0 before the first read', () => {
    expect(new CacheService(new InMemoryBackend()).stats().hitRatio).toBe(0);
  });
});
