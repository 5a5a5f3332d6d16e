import { setImmediate } from 'node:timers/promises';
import {
  type CacheEvent,
  CacheService,
  InMemoryBackend,
  LoadTimeoutError,
  type SerializedValue,
  type Stored,
} from 'nestjs-cachekit';
import { describe, expect, it, vi } from 'vitest';
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

  it('counts as a hit, not as a miss, when another process has stored a value before its load began', async () => {
    const store = new InMemoryBackend();
    const held = new HeldBackend(store);
    const [mine, other] = [new CacheService(held), new CacheService(store)];
    const lease = gate<void>();
    held.before = (operation) => (operation === 'replace' ? lease.load() : undefined);
    const load = vi.fn(() => 'mine');
    const late = mine.getOrSet('key', load);
    await lease.reached;
    await other.set('key', 'theirs');
    lease.open();
    expect(await late).toBe('theirs');
    expect(load).not.toHaveBeenCalled();
    expect(mine.stats()).toMatchObject({ hits: 1, misses: 0, collapsed: 0 });
  });

  it('that can not be stored, since others were faster again and again, is said to be so', async () => {
    const contested = new InMemoryBackend();
    contested.replace = () => undefined;
    const events: CacheEvent[] = [];
    const cache = new CacheService(contested, { onEvent: (event) => events.push(event) });
    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
    expect(events).toEqual([
      { type: 'miss', key: 'key' },
      { type: 'not-stored', key: 'key', reason: 'overtaken' },
    ]);
  });

  it('that finds what it can not read just before its load keeps to itself what it loads', async () => {
    const store = new InMemoryBackend();
    const held = new HeldBackend(store);
    const events: CacheEvent[] = [];
    const mine = new CacheService(held, { onEvent: (event) => events.push(event) });
    const serialize = (): SerializedValue => ({ codec: 'x', payload: 'theirs' });
    const other = new CacheService(store, { serializer: { serialize, deserialize: () => 'theirs' } });
    const lease = gate<void>();
    held.before = (operation) => (operation === 'replace' ? lease.load() : undefined);
    const loading = mine.getOrSet('key', () => 'mine');
    await lease.reached;
    await other.set('key', 'theirs');
    lease.open();
    expect(await loading).toBe('mine');
    expect(events.map(({ type }) => type)).toEqual(['error', 'miss', 'not-stored']);
    expect(events.at(-1)).toEqual({ type: 'not-stored', key: 'key', reason: 'alone' });
    expect(await other.get('key')).toBe('theirs');
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

  it.each(['nothing', 'a stale value'])(
    'who saw %s before a load stored its value does not load again',
    async (what) => {
      const held = new HeldBackend(new InMemoryBackend());
      const cache = new CacheService(held, { staleIfError: '1h' });
      if (what === 'a stale value') {
        await cache.set('key', 'old', { ttl: '1ms' });
        await expect.poll(() => cache.has('key')).toBe(false);
      }
      const [load, answer] = [gate<string>(), gate<void>()];
      const first = cache.getOrSet('key', load.load);
      await load.reached;
      held.after = (operation) => (operation === 'get' ? answer.load() : undefined);
      const second = cache.getOrSet('key', () => 'loaded twice');
      await answer.reached;
      held.after = () => undefined;
      load.open('loaded once');
      await first;
      answer.open();

      expect(await second).toBe('loaded once');
    },
  );

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

type Take = (signal: unknown) => string;

const withDefault =
  (take: Take) =>
  (signal: unknown = null): string =>
    take(signal);

/** Every way in which a function gets at its argument. */
const TAKERS: Readonly<Record<string, (take: Take) => (signal: AbortSignal) => string>> = {
  'a parameter': (take) => (signal) => take(signal),
  'a parameter with a default': withDefault,
  'a rest parameter':
    (take) =>
    (...all) =>
      take(all[0]),
  arguments: (take) =>
    function () {
      return take(arguments[0]);
    },
  'a function that is bound': (take) => ((_: null, signal: AbortSignal) => take(signal)).bind(null, null),
  'a Proxy': (take) => new Proxy(() => '', { apply: (_load, _this, all) => take(all[0]) }),
};

describe('A load', () => {
  it.each(Object.entries(TAKERS))('gets its signal through %s', async (_, taking) => {
    const seen: unknown[] = [];
    const load = taking((signal) => String(seen.push(signal)));
    await new CacheService(new InMemoryBackend()).getOrSet('key', load);
    expect(seen).toEqual([expect.any(AbortSignal)]);
  });

  it.each([
    () => 'value',
    async () => 'value',
    async function () {
      return 'value';
    },
  ])('may take nothing', async (load) => {
    expect(await new CacheService(new InMemoryBackend()).getOrSet('key', load)).toBe('value');
  });

  it('that asks for its own key waits for itself, and its LoadTimeoutError says that this may be why', async () => {
    const cache = new CacheService(new InMemoryBackend());
    const ask = (): Promise<string> => cache.getOrSet('key', ask, { loadTimeout: '20ms' });
    await expect(ask()).rejects.toThrow('A load that asks for its own key waits for itself.');
  });

  it('that takes nothing is given up after its loadTimeout as well', async () => {
    const cache = new CacheService(new InMemoryBackend());
    const never = new Promise<string>(() => undefined);
    await expect(cache.getOrSet('key', () => never, { loadTimeout: '10ms' })).rejects.toThrow(
      LoadTimeoutError,
    );
    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
  });
});
