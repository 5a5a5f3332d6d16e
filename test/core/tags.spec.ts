import { randomUUID } from 'node:crypto';
import { CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const DAY_MS = 86_400_000;

/** Only the clock stands still: timers and promises go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

/** Two processes on one server; what a server drops after its ttl, the test drops. */
function processes(): { one: CacheService; other: CacheService; backend: InMemoryBackend } {
  const backend = new InMemoryBackend();
  return { one: new CacheService(backend), other: new CacheService(backend), backend };
}

describe('An entry with tags', () => {
  it('keeps its tags in mind as long as it is read now and then', async () => {
    const [{ one, backend }, key] = [processes(), randomUUID()];
    await one.set(key, 'value', { ttl: Infinity, tags: ['tag'] });
    const firstEnd = endOf(backend, 't:tag');
    vi.advanceTimersByTime(16 * DAY_MS);
    expect(await one.get(key)).toBe('value');
    expect(endOf(backend, 't:tag')).toBe(firstEnd + 16 * DAY_MS);

    await one.invalidateTags('tag');
    expect(await one.get(key)).toBeUndefined();
  });

  it('is not made to live longer by reads, nor its tags written anew at each of them', async () => {
    const [{ one, backend }, key] = [processes(), randomUUID()];
    await one.set(key, 'value', { ttl: Infinity, tags: ['tag'] });
    const replace = vi.spyOn(backend, 'replace');
    await one.get(key);
    vi.advanceTimersByTime(16 * DAY_MS);
    for (let read = 0; read < 3; read++) await one.get(key);
    expect(replace).toHaveBeenCalledTimes(1);
  });

  it('is gone when the marker of a tag was evicted, and does not come back with a new one', async () => {
    const [{ one, other, backend }, key] = [processes(), randomUUID()];
    await one.set(key, 'old', { tags: ['tag'] });
    backend.delete(['t:tag']);
    expect(await one.get(key)).toBeUndefined();
    await other.set('another', 1, { tags: ['tag'] });
    expect(await one.get(key)).toBeUndefined();
    expect(await one.getOrSet(key, () => 'new', { tags: ['tag'] })).toBe('new');
  });

  it.each([-1, 1])('is invalidated whatever the clocks say: %d hour apart', async (hours) => {
    const [{ one, other }, key] = [processes(), randomUUID()];
    await one.set(key, 'old', { ttl: '7d', tags: ['tag'] });
    vi.setSystemTime(Date.now() + hours * 3_600_000);
    await other.invalidateTags('tag');
    vi.setSystemTime(Date.now() - hours * 3_600_000);
    expect(await one.get(key)).toBeUndefined();
    await other.set(key, 'new', { ttl: '7d', tags: ['tag'] });
    expect(await one.get(key)).toBe('new');
  });
});

/** When the header of an entry says that it ends. */
function endOf(backend: InMemoryBackend, key: string): number {
  const header = Buffer.from(backend.get(key)?.bytes ?? []).toString('latin1');
  return Number(/^ck1 t- \d+ (\d+)/.exec(header)?.[1]);
}
