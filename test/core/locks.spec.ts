import { randomUUID } from 'node:crypto';
import {
  type CacheEvent,
  CacheService,
  InMemoryBackend,
  LoadTimeoutError,
  LockNotAcquiredError,
  type Ttl,
} from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { gate, pass } from '../../lib/testing/tools.js';

/** Two processes on one server, as far as the cache can tell: what one holds, the other sees in the store only. */
function twoProcesses(): { one: CacheService; other: CacheService; backend: InMemoryBackend } {
  const backend = new InMemoryBackend();
  return { one: new CacheService(backend), other: new CacheService(backend), backend };
}

describe('getOrSet with lock', () => {
  const locked = { lock: true } as const;

  it('lets one process load, and gives its value to the others', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    const load = vi.fn(() => 'loaded twice');
    const waiting = Array.from({ length: 10 }, () => other.getOrSet(key, load, locked));
    slow.open('loaded');
    expect(new Set(await Promise.all([first, ...waiting]))).toEqual(new Set(['loaded']));
    expect(load).not.toHaveBeenCalled();
  });

  it('runs the load of another process when the first one fails, and only then', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    const load = vi.fn(() => 'second');
    const second = other.getOrSet(key, load, locked);
    slow.fail(new Error('first failed'));
    await expect(first).rejects.toThrow('first failed');
    expect(await second).toBe('second');
    expect(await one.get(key)).toBe('second');
  });

  it('is not held up by a lease that nobody renews', async () => {
    const [{ one, other, backend }, key] = [twoProcesses(), randomUUID()];
    // The holder has died: what it put there stays, as its bytes and for its time.
    await one.getOrSet(key, () => 'old', { ttl: '1h' });
    const slow = gate<string>();
    await one.delete(key);
    void one.getOrSet(key, slow.load, locked);
    await slow.reached;
    const lease = backend.get(`v:${key}`);
    await one.delete(key);
    backend.replace(`v:${key}`, undefined, lease?.bytes ?? new Uint8Array(), 60_000);

    expect(await other.getOrSet(key, () => 'taken over', locked)).toBe('taken over');
    slow.open('too late');
  });

  it('stops waiting after loadTimeout, and loads by itself', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    expect(await other.getOrSet(key, () => 'mine', { ...locked, loadTimeout: '50ms' })).toBe('mine');
    slow.open('theirs');
    expect(await first).toBe('theirs');
    expect(await other.get(key)).toBe('theirs');
  });

  it('lets a caller without it wait for its turn too, for longer than a load of that caller may take', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    const load = vi.fn(() => 'loaded twice');
    const waiting = other.getOrSet(key, load, locked);
    const joined = other.getOrSet(key, load, { loadTimeout: '20ms' });
    await pass(60);
    slow.open('loaded');
    expect(await Promise.all([first, waiting, joined])).toEqual(['loaded', 'loaded', 'loaded']);
    expect(load).not.toHaveBeenCalled();
  });

  it('rejects for a caller that joined it once its load has run for longer than that caller allows', async () => {
    const [{ one, other }, key] = [twoProcesses(), randomUUID()];
    const [slow, next] = [gate<string>(), gate<string>()];
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    const waiting = other.getOrSet(key, next.load, locked);
    const joined = other.getOrSet(key, next.load, { loadTimeout: '20ms' });
    slow.fail(new Error('first failed'));
    await expect(first).rejects.toThrow('first failed');
    await expect(joined).rejects.toThrow(LoadTimeoutError);
    next.open('second');
    expect(await waiting).toBe('second');
    expect(next.calls()).toBe(1);
  });

  it('counts those who wait for another process as collapsed, neither as hits nor as misses', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    const waiting = [1, 2, 3].map(() => other.getOrSet(key, slow.load, locked));
    slow.open('loaded');
    await Promise.all([first, ...waiting]);
    expect(one.stats()).toMatchObject({ hits: 0, misses: 1, collapsed: 0 });
    expect(other.stats()).toMatchObject({ hits: 0, misses: 0, collapsed: 3 });
  });

  it('says that a value was not stored since others held the key all the time', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const events: CacheEvent[] = [];
    other.events$.subscribe((event) => events.push(event));
    const first = one.getOrSet(key, slow.load, locked);
    await slow.reached;
    await other.getOrSet(key, () => 'mine', { ...locked, loadTimeout: '50ms' });
    expect(events).toEqual([
      { type: 'miss', key },
      { type: 'not-stored', key, reason: 'overtaken' },
    ]);
    slow.open('theirs');
    await first;
  });

  it('lets all answer stale while one process refreshes', async () => {
    const [{ one, other, backend }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const options = { ...locked, staleWhileRevalidate: '1h' } as const;
    await one.set(key, 'old', '1h');
    await expireNow(backend, key);
    expect(await one.getOrSet(key, slow.load, options)).toBe('old');
    await slow.reached;

    const load = vi.fn(() => 'refreshed twice');
    expect(await other.getOrSet(key, load, options)).toBe('old');
    expect(await other.getOrSet(key, load, options)).toBe('old');
    slow.open('new');
    await expect.poll(() => other.getOrSet(key, load, options)).toBe('new');
  });

  it('leaves the stale value in place when its refresh fails', async () => {
    const [{ one, other, backend }, key] = [twoProcesses(), randomUUID()];
    const options = { ...locked, staleIfError: '1h' } as const;
    await one.set(key, 'old', '1h');
    await expireNow(backend, key);
    const failing = (): never => {
      throw new Error('away');
    };
    expect(await one.getOrSet(key, failing, options)).toBe('old');
    expect(await other.getOrSet(key, () => 'new', options)).toBe('new');
  });

  /** Ends the ttl of an entry, but keeps the entry. */
  async function expireNow(backend: InMemoryBackend, key: string): Promise<void> {
    const lasting = new CacheService(backend, { staleIfError: '1h' });
    await lasting.touch(key, '1ms');
    await expect.poll(() => lasting.has(key)).toBe(false);
  }
});

describe('CacheService.lock', () => {
  /** Time passes when the test says so. A process that is paused for the ttl of its lock does lose it. */
  function useFakeClock(): void {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
  }

  it('runs one work at a time, in all processes', async () => {
    const [{ one, other }, key] = [twoProcesses(), randomUUID()];
    let running = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
    };
    await Promise.all([one, other, one, other].map((cache) => cache.lock(key, '5s', work)));
    expect([most, running]).toEqual([1, 0]);
  });

  it('answers what the work answers, and is free when the work has thrown', async () => {
    const [{ one, other }, key] = [twoProcesses(), randomUUID()];
    expect(await one.lock(key, '5s', () => 42)).toBe(42);
    const throwing = (): never => {
      throw new Error('from the work');
    };
    await expect(one.lock(key, '5s', throwing)).rejects.toThrow('from the work');
    expect(await other.lock(key, '5s', () => 'free', { wait: 0 })).toBe('free');
  });

  it('rejects when others hold it for the whole wait, and does not run the work', async () => {
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<string>()];
    const holder = one.lock(key, '5s', slow.load);
    await slow.reached;
    const work = vi.fn();
    const waiting = other.lock(key, '5s', work, { wait: '30ms' });
    await expect(waiting).rejects.toThrow(LockNotAcquiredError);
    await expect(waiting).rejects.toThrow(new RegExp(`The lock "${key}" was held by others for 30 ms`));
    expect(work).not.toHaveBeenCalled();
    slow.open('done');
    expect(await holder).toBe('done');
  });

  it('is renewed while the work runs, longer than its ttl', async () => {
    useFakeClock();
    const [{ one, other }, key, slow] = [twoProcesses(), randomUUID(), gate<void>()];
    const long = one.lock(key, '100ms', async (signal) => {
      await slow.load();
      return signal.aborted;
    });
    await slow.reached;
    const waiting = other.lock(key, '100ms', () => 'mine', { wait: '250ms' });
    const refused = expect(waiting).rejects.toThrow(LockNotAcquiredError);
    await vi.advanceTimersByTimeAsync(350);
    await refused;
    slow.open();
    expect(await long).toBe(false);
  });

  it('aborts the signal of the work when it is lost', async () => {
    const [{ one, other }, key] = [twoProcesses(), randomUUID()];
    const aborted = one.lock(key, '150ms', async (signal) => {
      await other.clear();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return 'told';
    });
    expect(await aborted).toBe('told');
  });

  it('aborts the signal of the work before another can hold it, when it can not be renewed', async () => {
    useFakeClock();
    const [{ one, backend }, key, held] = [twoProcesses(), randomUUID(), gate<AbortSignal>()];
    const working = one.lock(key, '300ms', async (signal) => {
      backend.replace = (() => new Promise(() => undefined)) as never;
      held.open(signal);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    const signal = await held.load();
    // Others may take it 300 ms after it was written; a renewal that hangs ends after 500 ms only.
    await vi.advanceTimersByTimeAsync(299);
    expect(signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(signal.aborted).toBe(true);
    // The release waits for the renewal that hangs, and then hangs too.
    await vi.advanceTimersByTimeAsync(1_000);
    await working;
  });

  it('has names apart from keys, and from those of namespaces', async () => {
    const [{ one }, key] = [twoProcesses(), randomUUID()];
    const inside = await one.lock(key, '5s', async () => {
      await one.set(key, 'value');
      return one.namespace('eu').lock(key, '5s', () => one.get(key), { wait: 0 });
    });
    expect(inside).toBe('value');
  });

  it.each([
    ['5 s', /CacheService.lock: ttl "5 s"/],
    [0, /CacheService.lock: ttl 0 is out of range/],
    [Infinity, /A lock lives from 100 ms to 24 hours/],
  ])('has no ttl of %s', async (ttl, message) => {
    await expect(new CacheService(new InMemoryBackend()).lock('key', ttl as Ttl, () => 1)).rejects.toThrow(
      message,
    );
  });

  it('rejects when the backend fails, before the work runs', async () => {
    const backend = new InMemoryBackend();
    backend.replace = () => {
      throw new Error('READONLY');
    };
    const work = vi.fn();
    await expect(new CacheService(backend).lock('key', '1s', work)).rejects.toThrow('READONLY');
    expect(work).not.toHaveBeenCalled();
  });
});
