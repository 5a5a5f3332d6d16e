import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type CacheEvent, CacheService, InMemoryBackend, LoadTimeoutError, type Ttl } from 'nestjs-cachekit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { gate } from '../../lib/testing/tools.js';

const MINUTE_MS = 60_000;

/** Only the clocks stand still: timers and promises go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

function pass(ms: number): void {
  vi.advanceTimersByTime(ms);
}

const failing = (): never => {
  throw new Error('the database is away');
};

describe('Within staleWhileRevalidate, getOrSet', () => {
  const options = { ttl: '1m', staleWhileRevalidate: '5m' } as const;

  it('answers the stale value at once, and the new one after a single load in the background', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    const slow = gate<string>();

    const stale = await Promise.all([1, 2, 3].map(() => cache.getOrSet(key, slow.load, options)));
    expect(stale).toEqual(['old', 'old', 'old']);
    await slow.reached;
    slow.open('new');
    await expect.poll(() => cache.getOrSet(key, failing, options)).toBe('new');
    expect(slow.calls()).toBe(1);
  });

  it('loads in the foreground once the window is over', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'old', options);
    pass(6 * MINUTE_MS);
    expect(await cache.getOrSet(key, () => 'new', options)).toBe('new');
  });

  it('lets a caller beyond the window join the refresh that is running', async () => {
    const [cache, key, slow] = [new CacheService(new InMemoryBackend()), randomUUID(), gate<string>()];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    await cache.getOrSet(key, slow.load, options);
    await slow.reached;

    const strict = cache.getOrSet(key, failing, { ttl: '1m' });
    await setImmediate();
    slow.open('new');
    expect(await strict).toBe('new');
  });

  it('shows the stale value to nobody who asks for fresh ones', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    expect(await cache.get(key)).toBeUndefined();
    expect(await cache.has(key)).toBe(false);
    expect(await cache.getMany([key])).toEqual([undefined]);
    expect(await cache.ttl(key)).toBeUndefined();
    expect(await cache.touch(key, '1m')).toBe(false);
  });

  it.each([
    ['deleted', (cache: CacheService, key: string) => cache.delete(key)],
    ['invalidated by its tag', (cache: CacheService) => cache.invalidateTags('tag')],
    ['cleared', (cache: CacheService) => cache.clear()],
  ])('never answers a value that was %s', async (_how, invalidate) => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'old', { ...options, tags: ['tag'] });
    pass(2 * MINUTE_MS);
    await invalidate(cache, key);
    expect(await cache.getOrSet(key, () => 'new', { ...options, tags: ['tag'] })).toBe('new');
    expect(await cache.getOrSet(key, failing, options)).toBe('new');
  });

  it.each([
    ['deleted', (cache: CacheService, key: string) => cache.delete(key)],
    ['set', (cache: CacheService, key: string) => cache.set(key, 'set')],
    ['invalidated by its tag', (cache: CacheService) => cache.invalidateTags('tag')],
    ['cleared', (cache: CacheService) => cache.clear()],
  ])('does not store a refresh that began before the key was %s', async (_how, invalidate) => {
    const [cache, key, slow] = [new CacheService(new InMemoryBackend()), randomUUID(), gate<string>()];
    await cache.getOrSet(key, () => 'old', { ...options, tags: ['tag'] });
    pass(2 * MINUTE_MS);
    await cache.getOrSet(key, slow.load, { ...options, tags: ['tag'] });
    await slow.reached;
    await invalidate(cache, key);
    slow.open('outdated');
    await setImmediate();
    expect(await cache.get(key)).not.toBe('outdated');
    expect(await cache.getOrSet(key, () => 'new', { tags: ['tag'] })).not.toBe('outdated');
  });

  it('keeps the stale value when the refresh fails, tells it, and backs off', async () => {
    const events: CacheEvent[] = [];
    const cache = new CacheService(new InMemoryBackend(), { onEvent: (event) => events.push(event) });
    const [key, load] = [randomUUID(), vi.fn(failing)];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);

    expect(await cache.getOrSet(key, load, options)).toBe('old');
    await setImmediate();
    expect(events.at(-1)).toMatchObject({
      type: 'refresh-failed',
      key,
      error: new Error('the database is away'),
    });
    await cache.getOrSet(key, load, options);
    await setImmediate();
    expect(load).toHaveBeenCalledTimes(1);
    pass(1_001);
    await cache.getOrSet(key, load, options);
    await setImmediate();
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('runs a bounded number of refreshes at once', async () => {
    const cache = new CacheService(new InMemoryBackend());
    const slow = gate<string>();
    const keys = Array.from({ length: 150 }, () => randomUUID());
    for (const key of keys) await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    const answers = await Promise.all(keys.map((key) => cache.getOrSet(key, slow.load, options)));
    await setImmediate();
    expect(new Set(answers)).toEqual(new Set(['old']));
    expect(slow.calls()).toBe(100);
    slow.open('new');
  });
});

describe('Within staleIfError, getOrSet', () => {
  const options = { ttl: '1m', staleIfError: '10m' } as const;

  it('loads in the foreground, and answers the stale value if that fails', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    expect(await cache.getOrSet(key, failing, options)).toBe('old');
    pass(1_001);
    expect(await cache.getOrSet(key, () => 'new', options)).toBe('new');
  });

  it('does not try again for a second, then for two, then for four', async () => {
    const [cache, key, load] = [new CacheService(new InMemoryBackend()), randomUUID(), vi.fn(failing)];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    const callsAfter = async (ms: number): Promise<number> => {
      pass(ms);
      expect(await cache.getOrSet(key, load, options)).toBe('old');
      return load.mock.calls.length;
    };
    expect([await callsAfter(0), await callsAfter(900), await callsAfter(200)]).toEqual([1, 1, 2]);
    expect([await callsAfter(1_900), await callsAfter(200), await callsAfter(3_900)]).toEqual([2, 3, 3]);
  });

  it('answers the stale value for a load that takes too long', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    await cache.getOrSet(key, () => 'old', options);
    const hanging = (): Promise<string> => new Promise(() => undefined);
    pass(2 * MINUTE_MS);
    expect(await cache.getOrSet(key, hanging, { ...options, loadTimeout: '20ms' })).toBe('old');
    await expect(cache.getOrSet(randomUUID(), hanging, { ...options, loadTimeout: '20ms' })).rejects.toThrow(
      LoadTimeoutError,
    );
  });

  it('passes the very error on once the window is over, or where nothing stale is there', async () => {
    const [cache, key, error] = [new CacheService(new InMemoryBackend()), randomUUID(), new Error('away')];
    const rejecting = (): Promise<never> => Promise.reject(error);
    await expect(cache.getOrSet(key, rejecting, options)).rejects.toBe(error);
    await cache.getOrSet(key, () => 'old', options);
    pass(12 * MINUTE_MS);
    await expect(cache.getOrSet(key, rejecting, options)).rejects.toBe(error);
  });

  it('does not answer a value that was invalidated while the load that fails was running', async () => {
    const [cache, key, slow] = [new CacheService(new InMemoryBackend()), randomUUID(), gate<string>()];
    await cache.getOrSet(key, () => 'old', { ...options, tags: ['tag'] });
    pass(2 * MINUTE_MS);
    const loading = cache.getOrSet(key, slow.load, { ...options, tags: ['tag'] });
    await slow.reached;
    await cache.invalidateTags('tag');
    slow.fail(new Error('away'));
    await expect(loading).rejects.toThrow('away');
  });

  it('answers the stale value to all who waited for the load that failed', async () => {
    const [cache, key, slow] = [new CacheService(new InMemoryBackend()), randomUUID(), gate<string>()];
    await cache.getOrSet(key, () => 'old', options);
    pass(2 * MINUTE_MS);
    const callers = [1, 2, 3].map(() => cache.getOrSet(key, slow.load, options));
    await slow.reached;
    slow.fail(new Error('away'));
    expect(await Promise.all(callers)).toEqual(['old', 'old', 'old']);
    expect(slow.calls()).toBe(1);
  });

  it('stands in for values that were set, as far as the cache’s own option says', async () => {
    const cache = new CacheService(new InMemoryBackend(), { staleIfError: '10m' });
    await cache.set('key', 'set', '1m');
    pass(2 * MINUTE_MS);
    expect(await cache.getOrSet('key', failing)).toBe('set');
  });
});

describe('A ttl', () => {
  it('may be told by the value', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    const token = (expiresIn: number) => () => ({ expiresIn });
    const ttl = (value: { expiresIn: number }): number => value.expiresIn;
    await cache.getOrSet(key, token(120), { ttl });
    expect(await cache.ttl(key)).toBe(120);
    pass(121_000);
    await cache.getOrSet(key, token(0), { ttl });
    expect(await cache.has(key)).toBe(false);
  });

  it('that the value tells wrongly is an error with its place, and nothing is stored', async () => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    const loading = cache.getOrSet(key, () => 'value', { ttl: () => -1 });
    await expect(loading).rejects.toThrow(
      /CacheService.getOrSet, ttl of the value: ttl -1 is not a length of time/,
    );
    expect(await cache.has(key)).toBe(false);
  });

  it('is shortened at random by at most the share jitter', async () => {
    const cache = new CacheService(new InMemoryBackend(), { ttl: 100, jitter: 0.2 });
    const ttls = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        await (index % 2 === 0 ? cache.set(`${index}`, 1) : cache.getOrSet(`${index}`, () => 1));
        return (await cache.ttl(`${index}`)) ?? 0;
      }),
    );
    expect(Math.max(...ttls)).toBeLessThanOrEqual(100);
    expect(Math.min(...ttls)).toBeGreaterThanOrEqual(80);
    expect(new Set(ttls).size).toBeGreaterThan(50);
  });

  it.each([-0.1, 1.1, Number.NaN])('has no jitter of %d', (jitter) => {
    expect(() => new CacheService(new InMemoryBackend(), { jitter })).toThrow(RangeError);
  });
});

describe('An option of getOrSet that is wrong', () => {
  it.each([
    [{ staleWhileRevalidate: '5 m' }, /CacheService.getOrSet, staleWhileRevalidate: ttl "5 m"/],
    [{ staleIfError: -1 }, /CacheService.getOrSet, staleIfError: ttl -1/],
    [{ lock: 'yes' }, /CacheService.getOrSet: the option lock must be a boolean, not string/],
    [{ stale: 5 }, /unknown option "stale"/],
  ])('is refused: %j', async (options, message) => {
    const cache = new CacheService(new InMemoryBackend());
    await expect(cache.getOrSet('key', () => 1, options as object)).rejects.toThrow(message);
  });
});

describe('A load that finds no value any more', () => {
  it.each([
    ['answers undefined', {}, (): unknown => undefined],
    ['answers a value with a ttl of 0', { ttl: (): Ttl => 0 }, (): unknown => 'gone'],
  ])('ends the stale one: it %s', async (_what, options, load) => {
    const [cache, key] = [new CacheService(new InMemoryBackend()), randomUUID()];
    const stale = { ttl: '1m', staleWhileRevalidate: '1h' } as const;
    await cache.getOrSet(key, () => 'old', stale);
    pass(2 * MINUTE_MS);
    expect(await cache.getOrSet(key, load, { ...stale, ...options })).toBe('old');
    await setImmediate();
    expect(await cache.getOrSet(key, () => 'loaded anew', stale)).toBe('loaded anew');
  });
});
