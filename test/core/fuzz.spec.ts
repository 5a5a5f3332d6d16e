import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { type CacheBackend, CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { RedisBackend } from 'nestjs-cachekit/redis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { patient } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';

/** Strings with anything in them, lone surrogates too. */
const anyString = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
});

const leaf = fc.oneof(
  anyString,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, Number.NaN, Infinity, -Infinity),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.webUrl().map((url) => new URL(url)),
  fc.constantFrom(/a/, /[\ud83d]\/"</gimsuy),
);

const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    tie('list'),
    tie('record'),
    tie('map'),
    tie('set'),
  ),
  list: fc.array(tie('value'), { maxLength: 5 }),
  record: fc.dictionary(
    anyString.filter((name) => name !== '__proto__'),
    tie('value'),
    { maxKeys: 5, noNullPrototype: true },
  ),
  map: fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
  set: fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
}));

/** Vitest compares Buffers and typed arrays by content and kind, -0, NaN and undefined as they are. */
function fuzz(title: string, make: () => CacheBackend, runs: number): void {
  describe(`${title}, fuzzed`, () => {
    let backend: CacheBackend;
    beforeAll(() => {
      backend = make();
    });
    afterAll(async () => {
      await backend.clear();
      await backend.close();
    });

    it('gives back any value as it was, on a miss as on a hit', async () => {
      const cache = new CacheService(backend);
      await fc.assert(
        fc.asyncProperty(anyValue, async (value) => {
          const key = randomUUID();
          expect(await cache.getOrSet(key, () => value)).toStrictEqual(value);
          expect(await cache.get(key)).toStrictEqual(value);
        }),
        { numRuns: runs },
      );
    });

    it('takes any string as a key, and keeps two apart', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(anyString, { minLength: 2, maxLength: 8 }), async (keys) => {
          const cache = new CacheService(backend).namespace(randomUUID());
          await cache.setMany(keys.map((key, index) => [key, index] as const));
          expect(await cache.getMany(keys)).toEqual(keys.map((_, index) => index));
          await cache.delete(keys[0] as string);
          expect(await cache.getMany(keys)).toEqual(
            keys.map((_, index) => (index === 0 ? undefined : index)),
          );
        }),
        { numRuns: runs },
      );
    });

    it('takes any bytes in the store for a miss, or for an entry, but never throws', async () => {
      const cache = new CacheService(backend);
      const tail = fc.uint8Array({ maxLength: 60 });
      const head = fc.constantFrom(
        '',
        'ck1 vj 1 never\n',
        'ck1 vd 1 never\n',
        'ck1 vj 1 never [["t:a","b"]]\n',
        'ck1 v',
      );
      await fc.assert(
        fc.asyncProperty(head, tail, async (text, bytes) => {
          const key = randomUUID();
          await backend.set(`v:${key}`, Buffer.concat([Buffer.from(text), bytes]), 60_000);
          await cache.get(key);
          await cache.getMany([key]);
          expect(await cache.getOrSet(key, () => 'loaded')).toBeDefined();
          expect(Object.getPrototypeOf({})).toBe(Object.prototype);
        }),
        { numRuns: runs },
      );
    });
  });
}

fuzz('InMemoryBackend', () => new InMemoryBackend(), 2_000);

describeOn('redis', 'with a Redis', () => {
  fuzz(
    'RedisBackend',
    // A deadline that is missed is a miss, and other tests say so.
    () => patient(new RedisBackend({ url: inject('redisUrl'), namespace: 'fuzz' })),
    300,
  );
});
