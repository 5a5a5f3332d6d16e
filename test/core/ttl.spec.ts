import { CacheService, InMemoryBackend, type Ttl } from 'nestjs-cachekit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** The clock stands still, so that what is left of a ttl is all of it. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

const cache = new CacheService(new InMemoryBackend());

async function secondsOf(ttl: Ttl): Promise<number | undefined> {
  await cache.set('key', 'value', ttl);
  return cache.ttl('key');
}

describe('A ttl', () => {
  it.each([
    ['250ms', 0.25],
    ['1.5s', 1.5],
    ['30s', 30],
    ['5m', 300],
    ['1h', 3_600],
    ['7d', 604_800],
    [30, 30],
    [0.5, 0.5],
  ] as const)('%s is %d seconds', async (ttl, seconds) => {
    expect(await secondsOf(ttl)).toBe(seconds);
  });

  it('of Infinity never ends, and neither does one of more than a century', async () => {
    expect(await secondsOf(Infinity)).toBe(Infinity);
    expect(await secondsOf(Number.MAX_VALUE)).toBe(Infinity);
    expect(await secondsOf('99999999999d')).toBe(Infinity);
  });

  it('however short is a millisecond', async () => {
    expect(await secondsOf(Number.MIN_VALUE)).toBe(0.001);
  });

  it.each([
    '5x',
    '',
    's',
    '5',
    '-1s',
    '1e3s',
    '0x10s',
    ' 5s',
    '5 s',
    '5S',
    'Infinitys',
    '1..5s',
    -1,
    -Infinity,
    Number.NaN,
    null,
    true,
    [],
    new Date(),
  ])('of %j is a RangeError that names the place and the way out', async (wrong) => {
    const key = 'kept';
    await cache.set(key, 'before');
    // What a JavaScript user, or a value from the environment, can bring past the type system.
    await expect(cache.set(key, 'after', { ttl: wrong as Ttl })).rejects.toThrow(RangeError);
    await expect(cache.set(key, 'after', { ttl: wrong as Ttl })).rejects.toThrow(
      /CacheService\.set: ttl .*'30s'/s,
    );
    expect(await cache.get(key)).toBe('before');
  });

  it.each(['300', '0.5'])('of %j is refused with what to write instead', async (text) => {
    await expect(cache.set('key', 1, text as Ttl)).rejects.toThrow(
      `'${text}' has no unit: write '${text}s', or the number ${text}.`,
    );
  });

  it('is checked by the type system', () => {
    // @ts-expect-error a unit that does not exist
    const wrong: Ttl = '5x';
    expect(wrong).toBe('5x');
  });
});
