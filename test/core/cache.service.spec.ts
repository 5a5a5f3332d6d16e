import { setImmediate } from 'node:timers/promises';
import {
  BackendUnavailableError,
  CachekitConfigError,
  CacheService,
  type CacheEvent,
  InMemoryBackend,
  UnknownOutcomeError,
} from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { gate } from '../../lib/testing/tools.js';

/** A real store whose operations can be made to fail or to hang. */
class FaultyBackend extends InMemoryBackend {
  fault: 'none' | 'fails' | 'hangs' = 'none';
  private readonly broken = new Set<string>();

  breaks(fault: 'fails' | 'hangs', ...operations: ('get' | 'set' | 'replace' | 'delete')[]): void {
    this.fault = fault;
    for (const operation of operations) this.broken.add(operation);
  }

  override get(key: string): never {
    return this.run('get', () => super.get(key));
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): never {
    return this.run('set', () => super.set(key, bytes, ttlMs));
  }

  override replace(key: string, seen: string | undefined, bytes: Uint8Array, ttlMs: number): never {
    return this.run('replace', () => super.replace(key, seen, bytes, ttlMs));
  }

  override delete(keys: readonly string[]): never {
    return this.run('delete', () => super.delete(keys));
  }

  /** As a backend with a server: every answer is a promise. */
  private run<T>(operation: string, work: () => T): never {
    if (!this.broken.has(operation)) return Promise.resolve().then(work) as never;
    if (this.fault === 'hangs') return new Promise(() => undefined) as never;
    return Promise.reject(new Error('connection lost')) as never;
  }
}

function faulty(): { backend: FaultyBackend; cache: CacheService; events: CacheEvent[] } {
  const events: CacheEvent[] = [];
  const backend = new FaultyBackend();
  return { backend, events, cache: new CacheService(backend, { onEvent: (event) => events.push(event) }) };
}

describe('A CacheService whose backend fails', () => {
  it.each(['fails', 'hangs'] as const)('reads a miss when the read %s', async (fault) => {
    const { backend, cache, events } = faulty();
    await cache.set('key', 'value');
    backend.breaks(fault, 'get');
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.has('key')).toBe(false);
    expect(await cache.ttl('key')).toBeUndefined();
    expect(events).toContainEqual(expect.objectContaining({ type: 'error', operation: 'get', key: 'key' }));
  });

  it.each(['fails', 'hangs'] as const)(
    'answers a load, once for all, when the read %s, and stores nothing',
    async (fault) => {
      const { backend, cache } = faulty();
      await cache.set('key', 'old');
      backend.breaks(fault, 'get');
      const slow = gate<string>();
      const callers = Array.from({ length: 100 }, () => cache.getOrSet('key', slow.load));
      await slow.reached;
      await expect(cache.get('key')).resolves.toBeUndefined();
      slow.open('loaded');
      expect(new Set(await Promise.all(callers))).toEqual(new Set(['loaded']));
      expect(slow.calls()).toBe(1);
    },
  );

  it.each(['fails', 'hangs'] as const)('answers a load when the write after it %s', async (fault) => {
    const { backend, cache, events } = faulty();
    backend.breaks(fault, 'replace');
    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
    expect(events).toContainEqual(expect.objectContaining({ type: 'not-stored', reason: 'backend' }));
  });

  it.each(['fails', 'hangs'] as const)('says so when a command %s', async (fault) => {
    const { backend, cache } = faulty();
    backend.breaks(fault, 'set', 'delete');
    await expect(cache.set('key', 1)).rejects.toThrow(BackendUnavailableError);
    await expect(cache.delete('key')).rejects.toThrow(
      /FaultyBackend\.delete\("key"\): (connection lost|no answer within 500 ms)/,
    );
    await expect(cache.invalidateTags('tag')).rejects.toThrow(BackendUnavailableError);
  });

  it('keeps the client’s own error as the cause', async () => {
    const { backend, cache } = faulty();
    backend.breaks('fails', 'set');
    await expect(cache.set('key', 1)).rejects.toMatchObject({ cause: { message: 'connection lost' } });
  });

  it('lets no caller join a load that began before an invalidation, also while the backend is away', async () => {
    const { backend, cache } = faulty();
    backend.breaks('fails', 'get', 'delete', 'replace');
    let release = (_value: string): void => undefined;
    const old = cache.getOrSet('key', () => new Promise<string>((resolve) => (release = resolve)));
    await setImmediate();
    await expect(cache.delete('key')).rejects.toThrow();
    expect(await cache.getOrSet('key', () => 'new')).toBe('new');
    release('old');
    expect(await old).toBe('old');
  });

  it('says that it does not know whether it counted when the write is late', async () => {
    const { backend, cache } = faulty();
    backend.breaks('hangs', 'replace');
    await expect(cache.increment('counter')).rejects.toThrow(UnknownOutcomeError);
  });

  it('does not let a listener that rejects end the process', async () => {
    const rejections: unknown[] = [];
    const listen = (reason: unknown): number => rejections.push(reason);
    process.on('unhandledRejection', listen);
    onTestFinished(() => void process.off('unhandledRejection', listen));
    const onEvent = (): Promise<never> => Promise.reject(new Error('metrics are down'));
    await new CacheService(new InMemoryBackend(), { onEvent }).get('key');
    await setImmediate();
    expect(rejections).toEqual([]);
  });

  it('does not let a listener that throws harm what it is told of', async () => {
    const onEvent = (): never => {
      throw new Error('listener');
    };
    const cache = new CacheService(new InMemoryBackend(), { onEvent });
    await cache.set('key', 1);
    expect(await cache.get('key')).toBe(1);
  });
});

describe('A CacheService', () => {
  const cache = new CacheService(new InMemoryBackend());

  it('loads on and on where each load is stored, and not where ttl is 0', async () => {
    let loads = 0;
    for (const ttl of [60, 0, 0]) await cache.getOrSet(`ttl${ttl}`, () => ++loads, ttl);
    expect(loads).toBe(3);
  });

  it.each([undefined, null, 5, {}, ['key'], Symbol('key')])('refuses %s as a key', async (key) => {
    const wrong = key as string;
    for (const call of [
      () => cache.get(wrong),
      () => cache.set(wrong, 1),
      () => cache.has(wrong),
      () => cache.ttl(wrong),
      () => cache.touch(wrong, 1),
      () => cache.increment(wrong),
      () => cache.getOrSet(wrong, () => 1),
      () => cache.getMany([wrong]),
      () => cache.setMany([[wrong, 1]]),
    ]) {
      await expect(call()).rejects.toThrow(/^CacheService\.\w+: a key is a string/);
    }
  });

  it('refuses tags that are not strings, and more than 64 of them', async () => {
    const many = Array.from({ length: 65 }, (_, index) => `${index}`);
    await expect(cache.set('key', 1, { tags: 'tag' as never })).rejects.toThrow(TypeError);
    await expect(cache.set('key', 1, { tags: [5 as never] })).rejects.toThrow(
      /tags must be an array of strings/,
    );
    await expect(cache.set('key', 1, { tags: many })).rejects.toThrow(/65 tags are too many/);
    await expect(cache.invalidateTags(...many)).rejects.toThrow(RangeError);
    await cache.set('key', 1, { tags: [...many.slice(0, 64), '0'] });
    expect(await cache.get('key')).toBe(1);
  });

  it('takes the tags to invalidate one by one', async () => {
    await expect(cache.invalidateTags(['a', 'b'] as never)).rejects.toThrow(TypeError);
    await expect(cache.invalidateTags(['a', 'b'] as never)).rejects.toThrow(
      /one by one.*invalidateTags\(\.\.\.tags\)/,
    );
  });

  it('refuses what is not a backend', () => {
    expect(() => new CacheService({ ttl: 5 } as never)).toThrow(
      /^CacheService: this is not a cache backend.*new CacheService\(backend, \{ ttl \}\)/,
    );
  });

  it('refuses undefined as a value, with the way out', async () => {
    await expect(cache.set('key', undefined)).rejects.toThrow(/Use null, or delete the key/);
    await expect(cache.setMany([['key', undefined]])).rejects.toThrow(TypeError);
  });

  it('refuses to add to what is not a number, or by what is not one', async () => {
    await cache.set('text', 'five');
    await expect(cache.increment('text')).rejects.toThrow(/the value under "text" is a string, not a number/);
    await expect(cache.increment('text', Number.NaN)).rejects.toThrow(TypeError);
    expect(await cache.get('text')).toBe('five');
  });

  it('refuses a load that is not a function', async () => {
    await expect(cache.getOrSet('key2', 'value' as never)).rejects.toThrow(/load must be a function/);
  });

  it.each([
    ['a ttl', 'soon', /ttl "soon" is not a length of time/],
    ['null', null, /ttl null/],
    ['a bigint', 5n, /ttl 5n/],
    ['options', { tll: 1 }, /unknown option "tll"/],
    ['a tag', { tags: 'x' }, /tags must be an array/],
    ['a lock', { lock: 1 }, /lock must be a boolean/],
    ['a stale window', { staleWhileRevalidate: 'x' }, /staleWhileRevalidate/],
    [
      'options that throw',
      {
        get ttl() {
          throw new Error('not today');
        },
      },
      /not today/,
    ],
  ])(
    'rejects rather than throws when getOrSet is given %s that it can not take',
    async (_, options, reason) => {
      let thrown: unknown;
      let answer: Promise<unknown> | undefined;
      try {
        answer = cache.getOrSet('key', () => 1, options as never);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeUndefined();
      await expect(answer).rejects.toThrow(reason);
    },
  );

  it('takes options as they are at each call, also those that were changed since, and any number of ttls', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const fresh = new CacheService(new InMemoryBackend());
    const options = { ttl: 60 };
    await fresh.getOrSet('first', () => 1, options);
    options.ttl = 600;
    await fresh.getOrSet('second', () => 1, options);
    for (let ttl = 1_000; ttl < 1_200; ttl++) await fresh.getOrSet(`${ttl}`, () => 1, ttl);
    const ttls = await Promise.all(['first', 'second', '1000', '1199'].map((key) => fresh.ttl(key)));
    expect(ttls).toEqual([60, 600, 1_000, 1_199]);
  });

  it.each(['', 'a b', 'a:b', 'a/b', 'x'.repeat(65), 5 as never])(
    'refuses %j as the name of a namespace',
    (name) => {
      expect(() => cache.namespace(name)).toThrow(CachekitConfigError);
    },
  );

  it.each([{ TTL: 1 }, { ttlMs: 5, tags: [] }, { tag: 'x' }, ['tag']])(
    'refuses the options %j of a call',
    async (options) => {
      await expect(cache.set('key', 1, options as never)).rejects.toThrow(
        /CacheService\.set: .*(unknown option|must be an object)/,
      );
      await expect(cache.getOrSet('key', () => 1, options as never)).rejects.toThrow(CachekitConfigError);
    },
  );

  it('refuses entries that are not pairs', async () => {
    for (const wrong of [['ab'], [1], { a: 1 }, [['a', 1, 2]]]) {
      await expect(cache.setMany(wrong as never)).rejects.toThrow(TypeError);
    }
  });

  it('shows a key on one line of a message, whatever is in it', async () => {
    const forged = 'key\n[Nest] 1 - LOG all is well';
    const failure = cache.getOrSet(forged, () => new Promise(() => undefined), { loadTimeout: '1ms' });
    await expect(failure).rejects.toThrow(/key\\n\[Nest\] 1 - LOG/);
  });

  it('refuses a serializer whose answer no entry could hold', async () => {
    const serializer = { serialize: () => ({ codec: 'msgpack', payload: 'x' }), deserialize: () => 1 };
    const packing = new CacheService(new InMemoryBackend(), { serializer });
    await expect(packing.set('key', 1)).rejects.toThrow(/one letter, and a string or a Uint8Array/);
  });

  it('refuses options that do not exist', () => {
    expect(() => new CacheService(new InMemoryBackend(), { TTL: 5 } as never)).toThrow(
      /unknown option "TTL"/,
    );
  });

  it('tells a listener what happens', async () => {
    const events: CacheEvent[] = [];
    const watched = new CacheService(new InMemoryBackend(), { onEvent: (event) => events.push(event) });
    await watched.getOrSet('key', () => 1, { tags: ['tag'] });
    await watched.get('key');
    await watched.invalidateTags('tag');
    await watched.delete('key');
    await watched.namespace('eu').clear();
    await watched.clear();
    expect(events).toEqual([
      { type: 'miss', key: 'key' },
      { type: 'set', key: 'key' },
      { type: 'hit', key: 'key', stale: false },
      { type: 'invalidate', tags: ['tag'] },
      { type: 'delete', key: 'key' },
      { type: 'clear', namespace: 'eu' },
      { type: 'clear' },
    ]);
  });
});
