import { setImmediate } from 'node:timers/promises';
import { CacheService, InMemoryBackend, LoadTimeoutError, type Stored } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { gate } from '../../lib/testing/tools.js';

/** A view of a backend through a network: every answer is a promise, and the test can hold one back. */
class HeldBackend extends InMemoryBackend {
  /** Called before each operation; the operation waits for what it answers. */
  before: (operation: 'get' | 'replace') => Promise<void> | undefined = () => undefined;
  /** Called after each read, before its answer is handed over. */
  after: (operation: 'get' | 'replace') => Promise<void> | undefined = () => undefined;

  constructor(private readonly store: InMemoryBackend) {
    super();
  }

  override get(key: string): never {
    return this.run('get', () => this.store.get(key));
  }

  override replace(key: string, seen: string | undefined, bytes: Uint8Array, ttlMs: number): never {
    return this.run('replace', () => this.store.replace(key, seen, bytes, ttlMs));
  }

  /** The declared type of the base class has no promises, but the contract has. */
  private run(operation: 'get' | 'replace', work: () => Stored | undefined): never {
    const answer = async (): Promise<Stored | undefined> => {
      await this.before(operation);
      const found = work();
      await this.after(operation);
      return found;
    };
    return answer() as never;
  }
}

describe('A caller', () => {
  it('is not served by a flight that found an entry which was deleted before the caller asked', async () => {
    const store = new InMemoryBackend();
    const held = new HeldBackend(store);
    const [mine, other] = [new CacheService(held), new CacheService(store)];
    const [lease, reread] = [gate<void>(), gate<void>()];
    held.before = (operation) => (operation === 'replace' ? lease.load() : undefined);
    const flying = mine.getOrSet('key', () => 'loaded');
    await lease.reached;
    await other.set('key', 'old');
    held.before = () => undefined;
    held.after = (operation) => (operation === 'get' ? reread.load() : undefined);
    lease.open();
    await reread.reached;

    await other.delete('key');
    held.after = () => undefined;
    const late = mine.getOrSet('key', () => 'new');
    await setImmediate();
    reread.open();

    expect(await late).toBe('new');
    expect(await flying).toBe('old');
  });

  it('waits for another one’s load no longer than its own loadTimeout', async () => {
    const cache = new CacheService(new InMemoryBackend());
    const slow = gate<string>();
    const patient = cache.getOrSet('key', slow.load, { loadTimeout: '1m' });
    await slow.reached;
    await expect(cache.getOrSet('key', slow.load, { loadTimeout: '20ms' })).rejects.toThrow(LoadTimeoutError);
    slow.open('loaded');
    expect(await patient).toBe('loaded');
    expect(slow.calls()).toBe(1);
  });

  it('joins the load of another when the backend can be read but not written', async () => {
    const readOnly = new InMemoryBackend();
    readOnly.replace = () => {
      throw new Error('READONLY You can not write against a read only replica.');
    };
    const cache = new CacheService(readOnly);
    const slow = gate<string>();
    const callers = [cache.getOrSet('key', slow.load)];
    await slow.reached;
    for (let index = 0; index < 10; index++) {
      callers.push(cache.getOrSet('key', slow.load));
      await setImmediate();
    }
    slow.open('loaded');
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['loaded']));
    expect(slow.calls()).toBe(1);
  });

  it('gets a frozen value on a miss too, with isolate: false', async () => {
    const cache = new CacheService(new InMemoryBackend(), { isolate: false });
    const loaded = await cache.getOrSet('key', () => ({ list: [1] }));
    expect(() => loaded.list.push(2)).toThrow(TypeError);
  });

  it('hears what is wrong when the loaded value can not be read back', async () => {
    const serializer = {
      serialize: () => ({ codec: 'x', payload: '' }),
      deserialize: () => {
        throw new Error('not implemented');
      },
    };
    const cache = new CacheService(new InMemoryBackend(), { serializer });
    await expect(cache.getOrSet('key', () => 1)).rejects.toThrow(/"key" can't be read back: not implemented/);
  });
});
