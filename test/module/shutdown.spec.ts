import { Test } from '@nestjs/testing';
import { CachekitModule, CacheService } from 'nestjs-cachekit';
import { describe, expect, it, vi } from 'vitest';
import { gate } from '../../lib/testing/tools.js';

describe('An app that shuts down', () => {
  it('waits for refreshes in the background, and starts no more', async () => {
    const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot()] }).compile();
    const app = await module.init();
    const cache = app.get(CacheService);
    const options = { ttl: '20ms', staleWhileRevalidate: '1h' } as const;
    const [slow, order] = [gate<string>(), [] as string[]];
    await cache.getOrSet('stale', () => 'old', options);
    await expect.poll(() => cache.has('stale')).toBe(false);
    cache.events$.subscribe((event) => event.type === 'set' && order.push('refreshed'));
    expect(await cache.getOrSet('stale', slow.load, options)).toBe('old');
    await slow.reached;
    const closing = app.close().then(() => order.push('closed'));
    const another = vi.fn(() => 'another');
    expect(await cache.getOrSet('stale', another, options)).toBe('old');
    slow.open('new');
    await closing;
    expect(another).not.toHaveBeenCalled();
    expect(order).toEqual(['refreshed', 'closed']);
  });
});
