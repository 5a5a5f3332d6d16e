import { Test } from '@nestjs/testing';
import { CachekitModule, CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { gate } from '../../lib/testing/tools.js';

const CLOCKS = ['Date', 'performance'] as const;

describe('An app that shuts down', () => {
  afterEach(() => void vi.useRealTimers());

  it('waits for refreshes in the background, and starts no more', async () => {
    vi.useFakeTimers({ toFake: [...CLOCKS] });
    const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot()] }).compile();
    const app = await module.init();
    const cache = app.get(CacheService);
    const options = { ttl: '1m', staleWhileRevalidate: '1h' } as const;
    const [slow, order] = [gate<string>(), [] as string[]];
    await cache.getOrSet('stale', () => 'old', options);
    vi.advanceTimersByTime(120_000);
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

  it('aborts a refresh that goes on for too long, and does not wait for what it answers', async () => {
    vi.useFakeTimers({ toFake: [...CLOCKS, 'setTimeout', 'clearTimeout'] });
    const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot()] }).compile();
    const app = await module.init();
    const cache = app.get(CacheService);
    const failures: unknown[] = [];
    cache.events$.subscribe((event) => event.type === 'refresh-failed' && failures.push(event.error));
    const options = { ttl: '1m', staleWhileRevalidate: '1h' } as const;
    const [given, hanging] = [gate<AbortSignal>(), gate<string>()];
    await cache.getOrSet('stale', () => 'old', options);
    vi.advanceTimersByTime(120_000);
    await cache.getOrSet('stale', (signal) => (given.open(signal), hanging.load()), options);
    const signal = await given.load();

    const closing = app.close();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await closing;
    expect(signal.reason).toMatchObject({ message: expect.stringContaining('the app shuts down') });
    expect(failures).toEqual([signal.reason]);
    hanging.fail(new Error('nobody hears of this'));
  });

  it('ends the wait of a refresh for its turn as well', async () => {
    vi.useFakeTimers({ toFake: [...CLOCKS, 'setTimeout', 'clearTimeout'] });
    const backend = new InMemoryBackend();
    const module = await Test.createTestingModule({ imports: [CachekitModule.forRoot(backend)] }).compile();
    const app = await module.init();
    const [cache, other] = [app.get(CacheService), new CacheService(backend)];
    const options = { ttl: '1m', staleWhileRevalidate: '1h', lock: true } as const;
    const [theirs, ours] = [gate<string>(), gate<string>()];
    await cache.getOrSet('stale', () => 'old', options);
    vi.advanceTimersByTime(120_000);
    // Both find that nobody refreshes it; one is first.
    const first = other.getOrSet('stale', theirs.load, options);
    const second = cache.getOrSet('stale', ours.load, options);
    expect(await Promise.all([first, second])).toEqual(['old', 'old']);
    await theirs.reached;

    const closing = app.close();
    await vi.advanceTimersByTimeAsync(6_000);
    await closing;
    expect(ours.calls()).toBe(0);
    theirs.open('new');
  });
});
