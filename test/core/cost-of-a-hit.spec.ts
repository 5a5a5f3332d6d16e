import { randomUUID } from 'node:crypto';
import { CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { watchResources } from '../backends/watch-resources.js';
import { patient } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';

/** Every option that a hit must not pay for. */
const OPTIONS = { ttl: '1h', staleWhileRevalidate: '1h', staleIfError: '1h', lock: true } as const;

const unused = (): never => {
  throw new Error('a hit loads nothing');
};

describe('A hit', () => {
  it('is one call to the backend', async () => {
    const [calls, backend, key] = [[] as string[], new InMemoryBackend(), randomUUID()];
    await new CacheService(backend).getOrSet(key, () => 'value', { ...OPTIONS, tags: ['a', 'b'] });
    await new CacheService(backend).getOrSet(`${key}-plain`, () => 'value', OPTIONS);
    const cache = new CacheService(recorded(backend, calls));
    calls.length = 0;

    await cache.getOrSet(`${key}-plain`, unused, OPTIONS);
    await cache.getOrSet(key, unused, { ...OPTIONS, tags: ['a', 'b'] });
    await cache.get(`${key}-plain`);
    expect(calls).toEqual(['get', 'getMany', 'get']);
  });

  it('takes two calls when only the entry knows its tags', async () => {
    const [calls, backend, key] = [[] as string[], new InMemoryBackend(), randomUUID()];
    await new CacheService(backend).set(key, 'value', { tags: ['a', 'b'] });
    const cache = new CacheService(recorded(backend, calls));
    calls.length = 0;
    await cache.get(key);
    expect(calls).toEqual(['get', 'getMany']);
  });

  it('in memory makes no timer and no promise of the backend', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'value', OPTIONS);
    const watch = watchResources();
    await cache.getOrSet(key, unused, OPTIONS);
    expect(await watch.left()).toEqual([]);
  });
});

describeOn('redis', 'A hit on Redis', () => {
  it('leaves no timer behind', async () => {
    const backend = patient(new RedisBackend({ url: inject('redisUrl'), namespace: randomUUID() }));
    onTestFinished(() => backend.close());
    const [cache, key] = [new CacheService(backend), randomUUID()];
    await cache.getOrSet(key, () => 'value', OPTIONS);
    const watch = watchResources();
    for (let hit = 0; hit < 10; hit++) await cache.getOrSet(key, unused, OPTIONS);
    expect(await watch.left()).toEqual([]);
  });
});

/** The same backend, with every call noted. */
function recorded(backend: InMemoryBackend, calls: string[]): InMemoryBackend {
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        calls.push(String(name));
        return Reflect.apply(value, target, given);
      };
    },
  });
}
