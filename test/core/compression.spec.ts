import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type CacheEvent, CacheService, EntryTooLargeError, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';

const LONG = { text: 'a long text, '.repeat(1_000) };

function bytesOf(backend: InMemoryBackend, key: string): Buffer {
  return Buffer.from(backend.get(`v:${key}`)?.bytes ?? []);
}

describe('With compress', () => {
  it('long values take less room, and come back as they were', async () => {
    const [backend, key] = [new InMemoryBackend(), randomUUID()];
    const cache = new CacheService(backend, { compress: true });
    await cache.set(key, LONG);
    expect(bytesOf(backend, key).length).toBeLessThan(1_000);
    expect(bytesOf(backend, key).toString('latin1')).toMatch(/^ck1 vjz \d/);
    expect(await cache.get(key)).toEqual(LONG);
    expect(await cache.getOrSet(randomUUID(), () => LONG)).toEqual(LONG);
  });

  it('short ones, and those that do not get smaller, are stored as they are', async () => {
    const [backend, key] = [new InMemoryBackend(), randomUUID()];
    const cache = new CacheService(backend, { compress: { overBytes: 8 } });
    for (const value of ['short', randomUUID()]) {
      await cache.set(key, value);
      expect(bytesOf(backend, key).toString('latin1')).toMatch(/^ck1 vj \d/);
      expect(await cache.get(key)).toBe(value);
    }
  });

  it('an entry can be read without the option, and stays compressed when it is touched', async () => {
    const [backend, key] = [new InMemoryBackend(), randomUUID()];
    await new CacheService(backend, { compress: true }).set(key, LONG);
    const plain = new CacheService(backend);
    expect(await plain.touch(key, '1h')).toBe(true);
    expect(await plain.get(key)).toEqual(LONG);
    expect(bytesOf(backend, key).length).toBeLessThan(1_000);
  });

  it('a value that is too large for the backend otherwise fits', async () => {
    const backend = new InMemoryBackend({ maxBytes: 5_000 });
    await expect(new CacheService(backend).set('key', LONG)).rejects.toThrow(EntryTooLargeError);
    await new CacheService(backend, { compress: true }).set('key', LONG);
    expect(await new CacheService(backend).get('key')).toEqual(LONG);
  });

  it.each([
    ['that is no gzip', Buffer.from('not gzip')],
    ['that was cut off', gzipSync('{"a":1}').subarray(0, 15)],
    [
      'that would unfold to half a gigabyte and more',
      gzipSync(Buffer.alloc(513 * 1024 * 1024), { level: 1 }),
    ],
  ])('a payload %s is a miss and an event', async (_what, payload) => {
    const events: CacheEvent[] = [];
    const [backend, key] = [new InMemoryBackend(), randomUUID()];
    const cache = new CacheService(backend, { onEvent: (event) => events.push(event) });
    const header = Buffer.from(`ck1 vjz ${Date.now()} ${Date.now() + 60_000}\n`);
    backend.set(`v:${key}`, Buffer.concat([header, payload]), 60_000);
    expect(await cache.getOrSet(key, () => 'loaded')).toBe('loaded');
    expect(events).toContainEqual(expect.objectContaining({ type: 'error', operation: 'decode', key }));
  });

  it.each([5, { bytes: 5 }, { overBytes: -1 }, { overBytes: Number.NaN }, 'yes'])(
    '%j is refused',
    (compress) => {
      expect(() => new CacheService(new InMemoryBackend(), { compress: compress as never })).toThrow(
        /compress/,
      );
    },
  );
});
