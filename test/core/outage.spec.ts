import { setImmediate } from 'node:timers/promises';
import { type CacheEvent, CacheService, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { gate } from '../../lib/testing/tools.js';

/** A real store behind a network that can be taken away: it then refuses, or stays silent. */
class RemoteBackend extends InMemoryBackend {
  network: 'up' | 'refuses' | 'silent' = 'up';
  operations = 0;

  override get(key: string): never {
    return this.send(() => super.get(key));
  }

  override getMany(keys: readonly string[]): never {
    return this.send(() => super.getMany(keys));
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): never {
    return this.send(() => super.set(key, bytes, ttlMs));
  }

  override replace(key: string, seen: string | undefined, bytes: Uint8Array, ttlMs: number): never {
    // `super.replace` sets by this.set, which would be a second trip.
    return this.send(() => (super.get(key)?.version === seen ? super.set(key, bytes, ttlMs) : undefined));
  }

  override delete(keys: readonly string[]): never {
    return this.send(() => super.delete(keys));
  }

  override clear(): never {
    return this.send(() => super.clear());
  }

  /** The declared types of the base class have no promises, but the contract has. */
  private send<T>(work: () => T): never {
    this.operations++;
    if (this.network === 'silent') return new Promise(() => undefined) as never;
    const answer = Promise.resolve().then(() => {
      if (this.network === 'refuses') throw new Error('connection refused');
      return work();
    });
    return answer as never;
  }
}

function remote(): { backend: RemoteBackend; cache: CacheService; events: CacheEvent[] } {
  const events: CacheEvent[] = [];
  const backend = new RemoteBackend();
  return { backend, events, cache: new CacheService(backend, { onEvent: (event) => events.push(event) }) };
}

describe('An invalidation that the backend missed', () => {
  it('is in force when the backend is back, before the first read of what it covers', async () => {
    const { backend, cache } = remote();
    await cache.set('deleted', 'old');
    await cache.set('tagged', 'old', { tags: ['tag'] });
    await cache.namespace('eu').set('inside', 'old');
    await cache.set('untouched', 'kept', { tags: ['other'] });
    backend.network = 'refuses';
    await expect(cache.delete('deleted')).rejects.toThrow('connection refused');
    await expect(cache.invalidateTags('tag')).rejects.toThrow('connection refused');
    await expect(cache.namespace('eu').clear()).rejects.toThrow('connection refused');
    backend.network = 'up';
    expect(await cache.get('deleted')).toBeUndefined();
    expect(await cache.get('tagged')).toBeUndefined();
    expect(await cache.namespace('eu').get('inside')).toBeUndefined();
    expect(await cache.get('untouched')).toBe('kept');
  });

  it('is in force for every kind of read', async () => {
    for (const read of ['get', 'getMany', 'has', 'ttl', 'touch', 'getOrSet', 'increment'] as const) {
      const { backend, cache } = remote();
      await cache.set('key', 5, { tags: ['tag'] });
      backend.network = 'refuses';
      await expect(cache.invalidateTags('tag')).rejects.toThrow();
      backend.network = 'up';
      const seen = {
        get: () => cache.get('key'),
        getMany: async () => (await cache.getMany(['key']))[0],
        has: () => cache.has('key'),
        ttl: () => cache.ttl('key'),
        touch: () => cache.touch('key', '1m'),
        getOrSet: () => cache.getOrSet('key', () => 'new'),
        increment: () => cache.increment('key'),
      }[read]();
      expect([undefined, false, 'new', 1]).toContain(await seen);
    }
  });

  it('makes what it covers a miss while the backend can be read but not written, and spares the rest', async () => {
    const { backend, cache } = remote();
    await cache.set('key', 'old', { tags: ['tag'] });
    await cache.set('other', 'kept');
    const set = backend.set.bind(backend);
    backend.set = () => Promise.reject(new Error('READONLY')) as never;
    await expect(cache.invalidateTags('tag')).rejects.toThrow('READONLY');
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.getMany(['key', 'other'])).toEqual([undefined, 'kept']);
    expect(await cache.getOrSet('key', () => 'new', { tags: ['tag'] })).toBe('new');
    backend.set = set;
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.get('other')).toBe('kept');
  });

  it('wins over a load that began before the outage and is stored after it', async () => {
    const { backend, cache } = remote();
    let release = (_value: string): void => undefined;
    const old = cache.getOrSet('key', () => new Promise<string>((resolve) => (release = resolve)));
    await setImmediate();
    backend.network = 'refuses';
    await expect(cache.delete('key')).rejects.toThrow();
    backend.network = 'up';
    release('old');
    expect(await old).toBe('old');
    expect(await cache.get('key')).toBeUndefined();
  });

  it('is written as soon as anything works again, and said to be', async () => {
    const { backend, cache, events } = remote();
    await cache.set('key', 'old');
    backend.network = 'refuses';
    await expect(cache.delete('key')).rejects.toThrow();
    backend.network = 'up';
    await cache.get('something else');
    await expect.poll(() => events).toContainEqual({ type: 'caught-up', keys: 1, tags: 0, clear: false });
    expect(await new CacheService(backend).get('key')).toBeUndefined();
  });

  it('does not remove what this process wrote after it', async () => {
    const { backend, cache } = remote();
    backend.network = 'refuses';
    await expect(cache.delete('key')).rejects.toThrow();
    backend.network = 'up';
    await cache.set('key', 'new');
    expect(await cache.get('key')).toBe('new');
  });

  it('does not remove what is set while it is being written', async () => {
    const { backend, cache } = remote();
    backend.network = 'refuses';
    await expect(cache.delete('key')).rejects.toThrow();
    backend.network = 'up';
    const sent = gate<void>();
    const send = backend.delete.bind(backend);
    backend.delete = (keys) => sent.load().then(() => send(keys)) as never;
    const reading = cache.get('key');
    await sent.reached;
    const setting = cache.set('key', 'new');
    await setImmediate();
    sent.open();
    await Promise.all([reading, setting]);
    expect(await cache.get('key')).toBe('new');
  });

  it('does not remove what is set while a pending clear is being written', async () => {
    const { backend, cache } = remote();
    backend.network = 'refuses';
    await expect(cache.clear()).rejects.toThrow();
    await expect(cache.delete('key')).rejects.toThrow();
    backend.network = 'up';
    const sent = gate<void>();
    const send = backend.clear.bind(backend);
    backend.clear = () => sent.load().then(send) as never;
    const reading = cache.get('other');
    await sent.reached;
    const setting = cache.set('key', 'new');
    await setImmediate();
    sent.open();
    await Promise.all([reading, setting]);
    expect(await cache.get('key')).toBe('new');
  });

  it('that was a clear does not remove what is set next', async () => {
    const { backend, cache, events } = remote();
    backend.network = 'refuses';
    await expect(cache.clear()).rejects.toThrow();
    backend.network = 'up';
    await cache.set('key', 'new');
    await expect.poll(() => events).toContainEqual({ type: 'caught-up', keys: 0, tags: 0, clear: true });
    expect(await cache.get('key')).toBe('new');
  });

  it('does not keep a value from being set where it can not be written, and is settled by that', async () => {
    const { backend, cache } = remote();
    await cache.set('key', 'old');
    backend.delete = () => Promise.reject(new Error('NOPERM')) as never;
    await expect(cache.delete('key')).rejects.toThrow('NOPERM');
    await cache.set('key', 'new');
    expect(await cache.get('key')).toBe('new');
    expect(cache.stats().pendingInvalidations).toBe(0);
  });

  it('is one clear when there are too many of them', async () => {
    const { backend, cache, events } = remote();
    await cache.set('key', 'old');
    await cache.set('unrelated', 'old');
    backend.network = 'refuses';
    await expect(cache.delete(Array.from({ length: 10_001 }, (_, index) => `key${index}`))).rejects.toThrow();
    backend.network = 'up';
    expect(await cache.get('unrelated')).toBeUndefined();
    expect(events).toContainEqual({ type: 'caught-up', keys: 0, tags: 0, clear: true });
    await cache.set('key', 'new');
    expect(await cache.get('key')).toBe('new');
  });

  it('that was a clear is one when the backend is back', async () => {
    const { backend, cache } = remote();
    await cache.set('key', 'old');
    backend.network = 'refuses';
    await expect(cache.clear()).rejects.toThrow();
    backend.network = 'up';
    expect(await cache.get('key')).toBeUndefined();
    await cache.set('key', 'new');
    expect(await cache.get('key')).toBe('new');
  });
});

describe('A backend that is silent', () => {
  /** The second after which it is asked again does not pass. Timers, and with them deadlines, go on as ever. */
  function freezeClock(): void {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
  }

  it('is not asked any more after five operations in a row, and then by one at a time', async () => {
    freezeClock();
    const { backend, cache, events } = remote();
    backend.network = 'silent';
    for (let index = 0; index < 5; index++) await cache.get('key');
    expect(backend.operations).toBe(5);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => cache.getOrSet('key', () => 'loaded')),
    );
    expect(new Set(answers)).toEqual(new Set(['loaded']));
    expect(backend.operations).toBe(5);
    expect(events).toContainEqual({ type: 'breaker', state: 'open' });

    vi.advanceTimersByTime(1_000);
    await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('key', () => 'loaded')));
    expect(backend.operations).toBe(6);
  });

  it('is asked again, and used when it answers', async () => {
    const { backend, cache, events } = remote();
    await cache.set('key', 'kept');
    backend.network = 'silent';
    for (let index = 0; index < 5; index++) await cache.get('key');
    backend.network = 'up';
    await expect.poll(() => cache.get('key')).toBe('kept');
    expect(events).toContainEqual({ type: 'breaker', state: 'closed' });
  });

  it('tells a command at once that it was not tried', async () => {
    freezeClock();
    const { backend, cache } = remote();
    backend.network = 'silent';
    for (let index = 0; index < 5; index++) await cache.get('key');
    await expect(cache.set('key', 1)).rejects.toThrow(
      /RemoteBackend\.set\("key"\): not tried.*within a second/,
    );
  });

  it('that refuses at once is asked every time', async () => {
    const { backend, cache } = remote();
    backend.network = 'refuses';
    for (let index = 0; index < 20; index++) await cache.get('key');
    expect(backend.operations).toBe(20);
  });
});

describe('An invalidation that failed', () => {
  it('stays pending when an earlier write of the key is answered late', async () => {
    const backend = new InMemoryBackend();
    const cache = new CacheService(backend);
    const late = gate<void>();
    const [set, remove] = [backend.set.bind(backend), backend.delete.bind(backend)];
    backend.set = ((...given: Parameters<typeof set>) => {
      const stored = set(...given);
      return late.load().then(() => stored);
    }) as never;
    const writing = cache.set('key', 'old');
    await late.reached;
    backend.delete = () => {
      throw new Error('away');
    };
    await expect(cache.delete('key')).rejects.toThrow('away');
    late.open();
    await writing;
    expect(cache.stats().pendingInvalidations).toBe(1);

    backend.delete = remove;
    expect(await cache.get('key')).toBeUndefined();
  });
});

describe('A read of an entry with tags', () => {
  it('is a miss where the backend answers the entry later, and throws at once for the markers of its tags', async () => {
    const backend = new InMemoryBackend();
    const cache = new CacheService(backend);
    await cache.set('key', 'value', { tags: ['tag'] });
    const get = backend.get.bind(backend);
    backend.get = ((key: string) => Promise.resolve(get(key))) as never;
    backend.getMany = () => {
      throw new Error('not connected');
    };
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
  });
});
