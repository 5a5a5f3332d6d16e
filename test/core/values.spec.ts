import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import {
  BrokenEntryError,
  type CacheSerializer,
  CacheService,
  InMemoryBackend,
  UnserializableValueError,
  ValueSerializer,
} from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';

class Price {
  readonly #secret = 'not data';

  constructor(
    readonly cents: number,
    readonly format = (): string => `${this.cents} ${this.#secret}`,
  ) {}
}

class Money {
  constructor(private readonly cents: number) {}

  toJSON(): unknown {
    return { amount: this.cents / 100 };
  }
}

const cache = new CacheService(new InMemoryBackend());

async function roundTrip(value: unknown): Promise<unknown> {
  await cache.set('key', value);
  return cache.get('key');
}

describe('A stored value', () => {
  it('is plain JSON in the store where it is plain JSON', async () => {
    const backend = new InMemoryBackend();
    await new CacheService(backend).set('user:1', { name: 'Ada', age: 36 }, { ttl: 60 });
    const stored = Buffer.from(backend.get('v:user:1')?.bytes ?? []).toString();
    expect(stored).toMatch(/^ck1 vj \d{13} \d{13}\n\{"name":"Ada","age":36\}$/);
  });

  it('lists its tags in a header of ASCII', async () => {
    const backend = new InMemoryBackend();
    await new CacheService(backend).set('key', 1, { tags: ['Zürich\n'] });
    const stored = Buffer.from(backend.get('v:key')?.bytes ?? []).toString('latin1');
    expect(stored).toMatch(/^ck1 vj \d+ \d+ \[\["t:Z\\u00fcrich\\n","[\w-]{16}"\]\]\n1$/);
  });

  it('that was an instance of a class has its own data and nothing else', async () => {
    expect(await roundTrip(new Price(5))).toStrictEqual({ cents: 5 });
    expect(await roundTrip([new Date(5), new Price(5)])).toStrictEqual([new Date(5), { cents: 5 }]);
  });

  it('that says how it looks as JSON, looks so', async () => {
    expect(await roundTrip({ price: new Money(250) })).toStrictEqual({ price: { amount: 2.5 } });
    expect(await roundTrip({ when: new Date(1), price: new Money(250) })).toStrictEqual({
      when: new Date(1),
      price: { amount: 2.5 },
    });
  });

  it('that was an Error has its kind, its message, what was added to it, and no class of the app', async () => {
    class PaymentError extends TypeError {
      readonly status = 402;
      override readonly name = 'PaymentError';
    }
    const error = (await roundTrip(new PaymentError('declined'))) as Error;
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(PaymentError);
    expect(error).toMatchObject({ name: 'PaymentError', message: 'declined', status: 402 });
  });

  it.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a function in an array', [() => 1]],
    ['a promise', Promise.resolve(1)],
    ['a WeakMap', new WeakMap()],
    ['a web Response', new Response('body')],
    ['a stream', Readable.from(['chunk'])],
    ['an iterator', [1, 2].values()],
    ['shared memory', new SharedArrayBuffer(8)],
    ['an array that is nearly all holes', Object.assign([], { length: 4_000_000_000 })],
    ['an object whose JSON is undefined', { toJSON: () => undefined }],
    ['nested 100,000 deep', JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))],
    [
      'an object with a getter that throws',
      {
        get broken(): never {
          throw new Error('broken getter');
        },
      },
    ],
  ])('can not be %s: a typed error, and what was there is kept', async (_kind, value) => {
    await cache.set('kept', 'before');
    await expect(cache.set('kept', value)).rejects.toThrow(UnserializableValueError);
    expect(await cache.get('kept')).toBe('before');
  });

  it.each(['{"__proto__":{"admin":true}}', '[{"a":{"__proto__":1}}]'])(
    'can not have an own __proto__ key: %s',
    async (json) => {
      await expect(cache.set('key', JSON.parse(json))).rejects.toThrow(/__proto__/);
      await expect(cache.set('key', [new Date(), JSON.parse(json)])).rejects.toThrow(/__proto__/);
    },
  );

  it('in the store that names __proto__ changes no prototype', async () => {
    const backend = new InMemoryBackend();
    const attacked = new CacheService(backend);
    for (const payload of [
      'j 1 never\n{"__proto__":{"admin":true}}',
      'j 1 never\n{"\\u005f_proto__":{"admin":true}}',

      'd 1 never\n[{"__proto__":1},{"admin":2},true]',
    ]) {
      backend.set('v:key', Buffer.from(`ck1 v${payload}`), 60_000);
      const value = (await attacked.get<{ admin?: boolean }>('key')) ?? {};
      expect(Object.assign({}, value).admin).toBeUndefined();
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
    }
  });

  it('that leads back to itself through an Error is cut there', async () => {
    const error = new Error('request failed');
    Object.assign(error, { request: { error }, cause: error });
    const back = (await roundTrip({ error })) as { error: Error & { request: { error?: unknown } } };
    expect(back.error).toMatchObject({ message: 'request failed', request: {} });
    expect(back.error.request.error).toBeUndefined();
  });

  it('is asked once for its JSON form, which may be itself, also when it is an array', async () => {
    class Self {
      readonly a = 1;

      toJSON(): this {
        return this;
      }
    }
    class Page extends Array<unknown> {
      toJSON(): unknown {
        return { items: [...this] };
      }
    }
    expect(await roundTrip(new Self())).toStrictEqual({ a: 1 });
    expect(await roundTrip(Page.from([1]))).toStrictEqual({ items: [1] });
    expect(await roundTrip(Page.from([new Date(1)]))).toStrictEqual({ items: [new Date(1)] });
  });

  it('that is a web of shared references takes no time, and comes back as that web', async () => {
    let web: unknown = { leaf: true };
    for (let level = 0; level < 60; level++) web = [web, web];
    const back = (await roundTrip(web)) as unknown[];
    expect(back[0]).toBe(back[1]);
  });

  it('in the store can not make its reader set memory aside', async () => {
    const backend = new InMemoryBackend();
    const payload = '[["Buffer",1],[2],{"length":3},400000000]';
    backend.set('v:key', Buffer.from(`ck1 vd 1 never\n${payload}`), 60_000);
    expect(await new CacheService(backend).get('key')).toBeUndefined();
  });

  it.each([
    ['JSON', { a: 1 }, 'hunter2'],
    ['JSON that is cut', { a: 1 }, '{"a":hunter2}'],
    ['richer data', new Map([[1, 2]]), 'hunter2'],
    ['richer data of an unknown type', new Map([[1, 2]]), '[["hunter2",1]]'],
  ])('that is damaged, as %s, is a miss and an error without a word of it', async (_, value, damage) => {
    const backend = new InMemoryBackend();
    const errors: unknown[] = [];
    const reader = new CacheService(backend, {
      onEvent: (event) => event.type === 'error' && errors.push(event.error),
    });
    await reader.set('key', value);
    const [header = ''] = Buffer.from(backend.get('v:key')?.bytes ?? [])
      .toString()
      .split('\n');
    backend.set('v:key', Buffer.from(`${header}\n${damage}`), 60_000);

    expect(await reader.get('key')).toBeUndefined();
    expect(errors).toEqual([expect.any(BrokenEntryError)]);
    expect(inspect(errors, { depth: 9, showHidden: true })).not.toContain('hunter2');
  });

  it('that can not be stored is named by its key, or by how deep it is', async () => {
    const deep: { in?: unknown } = {};
    for (let at = deep, level = 0; level < 20_000; level++) at = at.in = {};
    const load = (): unknown => ({ total: Promise.resolve(1) });

    await expect(cache.set('basket:7', load())).rejects.toThrow(/a Promise.*\(Its key is "basket:7"\.\)$/);
    await expect(cache.getOrSet('basket:8', load)).rejects.toThrow(/a Promise.*\(Its key is "basket:8"\.\)$/);
    await expect(cache.set('deep', deep)).rejects.toThrow(/nested too deeply/);
  });

  it('that can not be stored is refused with what its toJSON threw', async () => {
    const order = { toJSON: () => ({ at: new Date(Number.NaN).toISOString() }) };

    await expect(cache.set('order', order)).rejects.toThrow('Invalid time value');
  });

  it.each(['set', 'getOrSet'] as const)(
    'that a serializer of the app refuses rejects with its own error: %s',
    async (by) => {
      class TooSecretError extends UnserializableValueError {}
      const serializer: CacheSerializer = {
        serialize() {
          throw new TooSecretError('no');
        },
        deserialize: () => undefined,
      };
      const refusing = new CacheService(new InMemoryBackend(), { serializer });
      const refused = by === 'set' ? refusing.set('order', 1) : refusing.getOrSet('order', () => 1);

      await expect(refused).rejects.toThrow(TooSecretError);
    },
  );

  it('that a load answers and nobody can store rejects its callers with a typed error', async () => {
    await expect(cache.getOrSet('function', () => () => 1)).rejects.toThrow(UnserializableValueError);
    expect(await cache.getOrSet('function', () => 'works again')).toBe('works again');
  });

  it('is shared and frozen with isolate: false, where it is plain JSON', async () => {
    const sharing = new CacheService(new InMemoryBackend(), { isolate: false });
    await sharing.set('json', { list: [1] });
    await sharing.set('map', new Map([[1, 2]]));
    const [first, second] = [await sharing.get<{ list: number[] }>('json'), await sharing.get('json')];
    expect(first).toBe(second);
    expect(() => first?.list.push(2)).toThrow(TypeError);
    expect(await sharing.get('map')).not.toBe(await sharing.get('map'));
  });

  it('is written and read by the serializer that the app gives', async () => {
    const backend = new InMemoryBackend();
    const upperCase = new CacheService(backend, {
      serializer: {
        serialize: (value) => ({ codec: 'U', payload: String(value).toUpperCase() }),
        deserialize: (codec, payload) => `${codec}:${Buffer.from(payload).toString()}`,
      },
    });
    expect(await upperCase.getOrSet('key', () => 'value')).toBe('U:VALUE');
    expect(await upperCase.get('key')).toBe('U:VALUE');
    expect(await new CacheService(backend).get('key')).toBeUndefined();
  });

  it('is read by a serializer that extends the default one, on every hit', async () => {
    class Reviving extends ValueSerializer {
      override deserialize(codec: string, payload: Uint8Array): unknown {
        return { revived: super.deserialize(codec, payload) };
      }
    }
    const reviving = new CacheService(new InMemoryBackend(), { serializer: new Reviving() });
    await reviving.set('key', { a: 1 });
    expect(await reviving.get('key')).toEqual({ revived: { a: 1 } });
    expect(await reviving.get('key')).toEqual({ revived: { a: 1 } });
  });

  it('that is short or long, and of any letters, is read from memory as it was written', async () => {
    for (const text of ['a', 'ü', '語', '🙂', '\ud800', '\ufeff', '\n']) {
      for (const length of [1, 500, 5_000]) {
        await cache.set('key', text.repeat(length));
        expect(await cache.get('key')).toBe(text.repeat(length));
        expect(await cache.get('key')).toBe(text.repeat(length));
      }
    }
  });

  it('with tags of any letters is read from memory as it was written', async () => {
    for (const letters of ['ü', '語', '🙂', '\ud800', '\ufeff', '\n"]]\n', '\0']) {
      await cache.set('key', letters, { tags: [letters, `tag of ${letters}`] });
      expect(await cache.get('key')).toBe(letters);
      await cache.touch('key', 60);
      expect(await cache.get('key')).toBe(letters);
    }
  });

  it('that is shared with isolate: false is not handed to those who isolate', async () => {
    const backend = new InMemoryBackend();
    const [sharing, isolating] = [false, true].map((isolate) => new CacheService(backend, { isolate }));
    await sharing?.set('key', { list: [1] });
    const shared = await sharing?.get('key');
    const own = await isolating?.get<{ list: number[] }>('key');
    own?.list.push(2);
    expect(own).toEqual({ list: [1, 2] });
    expect(await sharing?.get('key')).toBe(shared);
    expect(shared).toEqual({ list: [1] });
  });

  it('with an own __proto__ in the store is no value, however often it is read', async () => {
    const backend = new InMemoryBackend();
    backend.set('v:key', Buffer.from('ck1 vj 1 9999999999999\n{"__proto__":{"a":1}}'), 60_000);
    const reader = new CacheService(backend);
    expect(await reader.get('key')).toBeUndefined();
    expect(await reader.get('key')).toBeUndefined();
  });

  it('is never what a cache with another serializer made of it, with isolate: false', async () => {
    class Reviving extends ValueSerializer {
      override deserialize(codec: string, payload: Uint8Array): unknown {
        return { revived: super.deserialize(codec, payload) };
      }
    }
    const backend = new InMemoryBackend();
    const plain = new CacheService(backend, { isolate: false });
    const reviving = new CacheService(backend, { isolate: false, serializer: new Reviving() });
    await plain.set('key', { a: 1 });
    for (let round = 0; round < 2; round++) {
      expect(await reviving.get('key')).toEqual({ revived: { a: 1 } });
      expect(await plain.get('key')).toEqual({ a: 1 });
    }
  });

  it('is read by a default serializer whose deserialize was replaced, on a hit as on a miss', async () => {
    const serializer = new ValueSerializer();
    serializer.deserialize = () => 'mine';
    const cache = new CacheService(new InMemoryBackend(), { serializer });
    expect(await cache.getOrSet('key', () => 1)).toBe('mine');
    expect(await cache.getOrSet('key', () => 1)).toBe('mine');
  });

  it('is never cut at the wrong place, where somebody else wrote a header that is not ASCII', async () => {
    const backend = new InMemoryBackend();
    const cache = new CacheService(backend);
    await cache.set('key', 123, { tags: ['é'] });
    const text = Buffer.from(backend.get('v:key')?.bytes ?? []).toString();
    // As it would be read byte by byte.
    const mojibake = Buffer.from('é').toString('latin1');
    backend.set(`t:${mojibake}`, backend.get('t:é')?.bytes ?? new Uint8Array(), Infinity);
    backend.set('v:key', Buffer.from(text.replace('\\u00e9', 'é')), Infinity);
    expect([undefined, 123]).toContain(await cache.get('key'));
  });
});
