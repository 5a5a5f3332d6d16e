import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { CachekitConfigError, CacheService, EntryTooLargeError, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { until } from '../servers/until.js';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

/** Keys in the order in which they were used last, and those that had to go. */
class OrderOfUse {
  readonly order: string[] = [];
  readonly evicted: string[] = [];

  constructor(private readonly most: number) {}

  use(key: string): boolean {
    if (!this.remove(key)) return false;
    this.order.push(key);
    return true;
  }

  write(key: string): void {
    this.remove(key);
    this.order.push(key);
    if (this.order.length > this.most) this.evicted.push(...this.order.splice(0, 1));
  }

  remove(key: string): boolean {
    const at = this.order.indexOf(key);
    return at >= 0 && this.order.splice(at, 1).length > 0;
  }
}

describe('InMemoryBackend', () => {
  it('answers synchronously', () => {
    const backend = new InMemoryBackend();
    expect(backend.set('key', bytesOf('value'), 1_000)).toHaveProperty('version');
    expect(backend.get('key')).toHaveProperty('bytes', bytesOf('value'));
    expect(backend.getMany(['key'])).toHaveLength(1);
  });

  it('evicts the entry that was not used for the longest time when it has too many', () => {
    const backend = new InMemoryBackend({ maxEntries: 3 });
    for (const key of ['a', 'b', 'c']) backend.set(key, bytesOf(key), Infinity);
    backend.get('a');
    backend.set('d', bytesOf('d'), Infinity);
    expect(['a', 'b', 'c', 'd'].filter((key) => backend.get(key))).toEqual(['a', 'c', 'd']);
  });

  it('evicts in the order of use, in which a write is one and a refused replace is none', () => {
    const backend = new InMemoryBackend({ maxEntries: 3 });
    const evicted: string[] = [];
    backend.watchEvictions((key) => evicted.push(key));
    for (const key of ['a', 'b', 'c', 'a', 'c']) backend.set(key, bytesOf(key), Infinity);
    backend.replace('b', 'of somebody else', bytesOf('b'), Infinity);
    backend.delete(['c']);
    for (const key of ['d', 'e', 'f', 'g']) backend.set(key, bytesOf(key), Infinity);
    expect(evicted).toEqual(['b', 'a', 'd']);
  });

  it('evicts what was not used for the longest time, whatever was done before', () => {
    const name = fc.constantFrom('get', 'getMany', 'set', 'replace', 'delete', 'clear');
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const steps = fc.array(fc.tuple(name, key), { minLength: 20, maxLength: 60 });
    const property = (maxEntries: number, all: readonly (readonly [string, string])[]): void => {
      const backend = new InMemoryBackend({ maxEntries });
      const evicted: string[] = [];
      backend.watchEvictions((gone) => evicted.push(gone));
      const model = new OrderOfUse(maxEntries);
      for (const [step, on] of all) {
        if (step === 'get') expect(backend.get(on) !== undefined).toBe(model.use(on));
        if (step === 'getMany')
          expect(backend.getMany([on, 'a']).map(Boolean)).toEqual([model.use(on), model.use('a')]);
        if (step === 'set' && backend.set(on, bytesOf(on), 60_000)) model.write(on);
        if (step === 'replace' && backend.replace(on, undefined, bytesOf(on), Infinity)) model.write(on);
        if (step === 'delete') {
          backend.delete([on, on]);
          model.remove(on);
        }
        if (step === 'clear') {
          backend.clear();
          model.order.length = 0;
        }
      }
      expect(evicted).toEqual(model.evicted);
    };
    fc.assert(fc.property(fc.integer({ min: 1, max: 4 }), steps, property));
  });

  it('lets who hears of an eviction read and write at once', () => {
    const backend = new InMemoryBackend({ maxEntries: 2 });
    const evicted: string[] = [];
    backend.watchEvictions((key) => {
      evicted.push(key);
      backend.get('b');
      if (key === 'a') backend.set('heard of a', bytesOf('x'), Infinity);
    });
    for (const key of ['a', 'b', 'c', 'd']) backend.set(key, bytesOf(key), Infinity);
    expect(evicted).toEqual(['a', 'c', 'heard of a']);
    expect(['b', 'd'].filter((key) => backend.get(key))).toEqual(['b', 'd']);
  });

  it('lets who hears of an eviction clear it, and takes entries after that', () => {
    const backend = new InMemoryBackend({ maxEntries: 1 });
    let heard = 0;
    backend.watchEvictions(() => {
      heard++;
      if (heard === 1) backend.clear();
    });
    for (const key of ['a', 'b']) backend.set(key, bytesOf(key), 60_000);
    expect(backend.getMany(['a', 'b'])).toEqual([undefined, undefined]);
    for (const key of ['c', 'd']) backend.set(key, bytesOf(key), 60_000);
    expect(heard).toBe(2);
    expect(backend.get('d')).toBeDefined();
  });

  it('holds one entry that takes all of its room, and no larger one', () => {
    const sizeOf = (length: number): number => {
      try {
        new InMemoryBackend({ maxBytes: 1 }).set('key', Buffer.alloc(length, 'x'), Infinity);
      } catch (error) {
        return Number(/takes (\d+) bytes/.exec(String(error))?.[1]);
      }
      throw new Error('An entry of one byte was taken.');
    };
    const backend = new InMemoryBackend({ maxBytes: sizeOf(5_000) });
    backend.set('one', Buffer.alloc(5_000, 'x'), Infinity);
    backend.set('two', Buffer.alloc(5_000, 'x'), Infinity);
    expect(backend.getMany(['one', 'two']).map(Boolean)).toEqual([false, true]);
    expect(() => backend.set('two', Buffer.alloc(5_001, 'x'), Infinity)).toThrow(EntryTooLargeError);
    expect(backend.get('two')?.bytes).toHaveLength(5_000);
  });

  it('keeps what was read or written before it evicted it, for those who still hold it', () => {
    const backend = new InMemoryBackend({ maxEntries: 1 });
    const held = backend.set('key', bytesOf('held'), Infinity) as { bytes: Uint8Array };
    for (let index = 0; index < 5_000; index++) backend.set(`key${index}`, bytesOf('other'), Infinity);
    expect(Buffer.from(held.bytes).toString()).toBe('held');
  });

  it.each([
    ['e', 4],
    ['é', 3],
    ['語', 3],
  ])('counts two bytes for each character of a text of %s that is not ASCII', (character, most) => {
    const backend = new InMemoryBackend({ maxBytes: 3_000 });
    const keys = ['a', 'b', 'c', 'd', 'f'];
    for (const key of keys) backend.set(key, bytesOf(character.repeat(300)), Infinity);
    expect(keys.filter((key) => backend.get(key))).toHaveLength(most);
  });

  it('has room again for as many entries after a clear', () => {
    const backend = new InMemoryBackend({ maxEntries: 2 });
    for (const key of ['a', 'b', 'c']) backend.set(key, bytesOf(key), 60_000);
    backend.clear();
    for (const key of ['d', 'e']) backend.set(key, bytesOf(key), 60_000);
    expect(backend.getMany(['a', 'b', 'c', 'd', 'e']).map((entry) => entry !== undefined)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  it('finds every key among many that begin and end alike', () => {
    const backend = new InMemoryBackend();
    const keys = [
      '',
      'x',
      ...Array.from({ length: 2_000 }, (_, index) => `["GET","/cafes",{"id":"${index}"},"public"]`),
    ];
    for (const key of keys) backend.set(key, bytesOf(key), Infinity);
    expect(keys.every((key) => Buffer.from(backend.get(key)?.bytes ?? 'none').toString() === key)).toBe(true);
  });

  it('evicts when its entries take too many bytes', () => {
    const backend = new InMemoryBackend({ maxBytes: 10_000 });
    for (let index = 0; index < 100; index++) backend.set(`key${index}`, Buffer.alloc(1_000), Infinity);
    const kept = Array.from({ length: 100 }, (_, index) => index).filter((index) =>
      backend.get(`key${index}`),
    );
    expect(kept.length).toBeLessThan(10);
    expect(kept).toContain(99);
  });

  it('refuses an entry larger than it may ever be, and keeps the one before', async () => {
    const backend = new InMemoryBackend({ maxBytes: 2_000 });
    const cache = new CacheService(backend);
    await cache.set('key', 'small');
    await expect(cache.set('key', 'x'.repeat(2_000))).rejects.toThrow(EntryTooLargeError);
    await expect(cache.set('key', 'x'.repeat(2_000))).rejects.toThrow(
      /v:key.*bytes, more than the 2000 allowed/,
    );
    expect(await cache.get('key')).toBe('small');
  });

  it('answers a load that is too large to store, and says so in an event', async () => {
    const events: string[] = [];
    const onEvent = (event: { type: string; reason?: string }): number =>
      events.push(event.reason ?? event.type);
    const cache = new CacheService(new InMemoryBackend({ maxBytes: 2_000 }), { onEvent });
    expect(await cache.getOrSet('key', () => 'x'.repeat(2_000))).toHaveLength(2_000);
    expect(events).toContain('too-large');
    expect(await cache.has('key')).toBe(false);
  });

  it('lets expired entries go although nobody asks for them', async () => {
    const backend = new InMemoryBackend();
    for (let index = 0; index < 2_000; index++)
      backend.set(`key${index}`, bytesOf('value'), index % 2 === 0 ? 10 : 60_000);
    const left = (): number =>
      Array.from({ length: 2_000 }, (_, index) => backend.get(`key${index}`)).filter(Boolean).length;
    expect(left()).toBe(2_000);
    await until('half of the entries are gone', async () => left() === 1_000);
    expect(backend.get('key1')).toBeDefined();
  });

  it('does not let an entry go that was written again with a longer ttl', async () => {
    const backend = new InMemoryBackend();
    backend.set('renewed', bytesOf('1'), 10);
    backend.set('renewed', bytesOf('2'), 60_000);
    backend.set('gone', bytesOf('1'), 20);
    await until('the other entry is gone', async () => backend.get('gone') === undefined);
    expect(backend.get('renewed')).toBeDefined();
  });

  it('lets expired entries go while others are written over and removed, and keeps those', async () => {
    const backend = new InMemoryBackend();
    const keys = Array.from({ length: 3_000 }, (_, index) => `key${index}`);
    for (const key of keys) backend.set(key, bytesOf('old'), 0.1);
    for (const [key, ttlMs] of Object.entries({ endless: Infinity, eternity: 1e300 }))
      backend.set(key, bytesOf('old'), ttlMs);
    const renewed = keys.filter((_, index) => index % 7 === 0);
    await until('the rest is gone', async () => {
      for (const key of renewed) backend.set(key, bytesOf('new'), 60_000);
      backend.delete(keys.filter((_, index) => index % 7 === 6));
      return backend.getMany(keys).filter(Boolean).length === renewed.length;
    });
    expect(backend.getMany([...renewed, 'endless', 'eternity'])).not.toContain(undefined);
  });

  it('lets expired entries go after a clear, and after it was closed and opened again', async () => {
    const backend = new InMemoryBackend();
    const expire = async (): Promise<void> => {
      backend.set('key', bytesOf('value'), 1);
      expect(backend.get('key')).toBeDefined();
      await until('the entry is gone', async () => backend.get('key') === undefined);
    };
    await expire();
    backend.clear();
    await expire();
    await backend.close();
    await backend.open();
    await expire();
  });

  it('keeps no process alive', async () => {
    const program = `
      import { InMemoryBackend } from ${JSON.stringify(new URL('../../dist/lib/index.js', import.meta.url).href)};
      const backend = new InMemoryBackend();
      backend.set('key', new Uint8Array(1), 3_600_000);
      console.log('written');`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
      timeout: 20_000,
    });
    await expect(run).resolves.toMatchObject({ stdout: 'written\n' });
  });

  it.each([100, 3_000])('does not see what becomes of the pool that %j bytes were written from', (length) => {
    const backend = new InMemoryBackend();
    const pooled = Buffer.from('x'.repeat(length));
    backend.set('key', pooled, Infinity);
    pooled.fill('y');
    expect(Buffer.from(backend.get('key')?.bytes ?? []).toString()).toBe('x'.repeat(length));
  });

  it.each([
    ['ASCII', bytesOf('a text')],
    ['text beyond Latin-1', bytesOf('日本語のカフェ')],
    ['bytes that are no text', Buffer.from([0xff, 0x00, 0xc3, 0x28])],
    ['nothing', new Uint8Array()],
    ['a view in the middle of other bytes', Buffer.from('-a text-').subarray(1, 7)],
  ])('answers %s as it was written', (_, bytes) => {
    const backend = new InMemoryBackend();
    backend.set('key', bytes, Infinity);
    expect(Buffer.from(backend.get('key')?.bytes ?? 'none')).toEqual(Buffer.from(bytes));
  });

  it('is empty after it was closed', async () => {
    const backend = new InMemoryBackend();
    backend.set('key', bytesOf('value'), Infinity);
    await backend.close();
    expect(backend.get('key')).toBeUndefined();
  });

  it('shares nothing with another instance of the same namespace', () => {
    const [one, other] = [
      new InMemoryBackend({ namespace: 'shop' }),
      new InMemoryBackend({ namespace: 'shop' }),
    ];
    const key = randomUUID();
    one.set(key, bytesOf('one'), Infinity);
    expect(other.get(key)).toBeUndefined();
  });

  it.each([
    [{ maxEntries: 0 }, /maxEntries must be a whole number from 1 to 16000000, not 0/],
    [{ maxEntries: 1.5 }, /maxEntries/],
    [{ maxBytes: Number.NaN }, /maxBytes/],
    [{ maxEntries: { password: 'hunter2' } as never }, /not \[Object\]\.$/],
    [{ maxBytes: '1gb' as never }, /maxBytes must be a whole number from 1 to .*, not '1gb'/],
    [{ namespace: 'shop:eu' }, /InMemoryBackend: the namespace "shop:eu" is not allowed/],
    [{ namespace: '' }, /namespace "" is not allowed/],
    [{ namespace: 'x'.repeat(65) }, /namespace/],
    [{ max: 5 } as never, /unknown option "max".*maxEntries/],
  ])('refuses the options %j', (options, message) => {
    expect(() => new InMemoryBackend(options)).toThrow(CachekitConfigError);
    expect(() => new InMemoryBackend(options)).toThrow(message);
  });
});
