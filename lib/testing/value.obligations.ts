import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { CacheService } from '../core/cache.service.js';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey } from './tools.js';

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
}

function cycle(): unknown {
  const node: Record<string, unknown> = { name: 'node' };
  node['self'] = node;
  return node;
}

/** One of each kind that must survive. */
const KINDS: Readonly<Record<string, unknown>> = {
  null: null,
  'an empty string': '',
  'a string with a lone surrogate, NUL and an emoji': 'a\ud83d\0😀',
  false: false,
  zero: 0,
  '-0': -0,
  NaN: Number.NaN,
  infinities: [Infinity, -Infinity],
  'a nested object': { a: [1, { b: null }], ключ: 'значение' },
  'an empty object and an empty array': [{}, []],
  'undefined inside an object and an array': { a: undefined, b: [undefined, 1] },
  'a BigInt': 12345678901234567890n,
  'a Date': new Date(1_700_000_000_123),
  'a Map': new Map<unknown, unknown>([
    ['a', 1],
    [{ b: 2 }, new Set([3])],
  ]),
  'a Set': new Set(['a', 1, null]),
  'a RegExp': /a+b/giu,
  'a URL': new URL('https://example.org/path?q=1#end'),
  'a Buffer': Buffer.from([0, 1, 254, 255]),
  'an empty Buffer': [Buffer.alloc(0)],
  'a Uint8Array': Uint8Array.of(0, 128, 255),
  'a Float64Array': Float64Array.of(0.1, -1e300),
  'a DataView': new DataView(Uint8Array.of(1, 2, 3).buffer),
  'a deep mixture': { list: [{ when: new Date(0), tags: new Set(['x']) }], size: 10n },
};

/** A value comes back as it was, on every backend. */
export function describeValues({ backend, runner: { describe, it } }: BackendUnderTest): void {
  const cache = (): CacheService => new CacheService(backend());

  describe('values', () => {
    for (const [kind, value] of Object.entries(KINDS)) {
      it(`gives back ${kind}, on a miss as on a hit`, async () => {
        const key = anyKey();
        const onMiss = await cache().getOrSet(key, () => value);
        const onHit = await cache().getOrSet(key, () => 'loaded again');
        deepEqual(onMiss, value);
        deepEqual(onHit, value);
      });
    }

    it('gives back an Error with its kind, message and cause', async () => {
      const key = anyKey();
      await cache().set(key, new RangeError('too far', { cause: { limit: 3 } }));
      const error = await cache().get<RangeError>(key);
      equal(error instanceof RangeError && error.message, 'too far');
      deepEqual(error?.cause, { limit: 3 });
    });

    it('stores of a view on bytes what it shows, and nothing that lies beside it', async () => {
      const [key, memory] = [anyKey(), Buffer.from('before the secret after')];
      const view = new Uint8Array(memory.buffer, memory.byteOffset + 7, 3);
      await cache().set(key, { view, data: new DataView(memory.buffer, memory.byteOffset + 7, 3) });
      const found = await cache().get<{ view: Uint8Array; data: DataView }>(key);
      deepEqual(found?.view, view);
      deepEqual([found?.view.buffer.byteLength, found?.data.buffer.byteLength], [3, 3]);
    });

    it('gives back an invalid Date', async () => {
      const key = anyKey();
      await cache().set(key, new Date(Number.NaN));
      const date = await cache().get<Date>(key);
      ok(date instanceof Date && Number.isNaN(date.getTime()));
    });

    it('gives back a cycle', async () => {
      const key = anyKey();
      await cache().set(key, cycle());
      const node = await cache().get<Record<string, unknown>>(key);
      equal(node?.['name'], 'node');
      equal(node?.['self'], node);
    });

    it('gives back an instance of a class as its own properties', async () => {
      const key = anyKey();
      deepEqual(await cache().getOrSet<unknown>(key, () => new Point(1, 2)), { x: 1, y: 2 });
      deepEqual(await cache().get(key), { x: 1, y: 2 });
    });

    it('gives every caller a copy of its own', async () => {
      const key = anyKey();
      const original = { list: [1] };
      const first = await cache().getOrSet(key, () => original);
      first.list.push(2);
      const second = await cache().getOrSet(key, () => original);
      deepEqual(second, { list: [1] });
      notEqual(first, original);
    });

    it('reads many in their order, and writes many', async () => {
      const [a, b, missing] = [anyKey(), anyKey(), anyKey()];
      await cache().setMany(
        new Map([
          [a, 1],
          [b, 2],
        ]),
      );
      deepEqual(await cache().getMany([b, missing, a, b]), [2, undefined, 1, 2]);
      await cache().delete([a, b]);
      equal((await cache().has(a)) || (await cache().has(b)), false);
    });

    it('takes what others wrote, or what was damaged, for a miss', async () => {
      const key = anyKey();
      for (const foreign of [
        '',
        '{"a":1}',
        'ck1 vj 1 never\n{"a":',
        'ck1 vd 1 never\n[[1,"x"]',
        'ck1 v? 1 never\n1',
      ]) {
        await backend().set(`v:${key}`, Buffer.from(foreign), 60_000);
        equal(await cache().get(key), undefined);
        equal(await cache().getOrSet(key, () => 'loaded'), 'loaded');
        equal(await cache().get(key), 'loaded');
      }
    });
  });
}
