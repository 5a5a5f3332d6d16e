import {
  BackendUnavailableError,
  CacheBackend,
  type CacheEvent,
  CachekitConfigError,
  CacheService,
  InMemoryBackend,
  type NearBackend,
  NotAnnouncedError,
  TieredBackend,
} from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { FarBackend, type Network, type Process, processes, settle } from './tiered-stage.js';

const MINUTE_MS = 60_000;
const OLD = Buffer.from('old');
const NEW = Buffer.from('new');

/** One process, with the entry `old` under `key` far, and a copy of it near. */
async function warmed(): Promise<Process & { network: Network }> {
  const { network, all } = await processes(1);
  const [one] = all as [Process];
  await one.backend.set('key', OLD, MINUTE_MS);
  await one.backend.get('key');
  one.far.asked.length = 0;
  return { ...one, network };
}

/** Two processes, both with a copy of the same entry. */
async function warmedTwo(): Promise<{ network: Network; here: Process; there: Process }> {
  const { network, all } = await processes(2);
  const [here, there] = all as [Process, Process];
  await here.backend.set('key', OLD, MINUTE_MS);
  for (const { backend } of all) await backend.get('key');
  for (const { far } of all) far.asked.length = 0;
  return { network, here, there };
}

async function textOf(backend: CacheBackend, key = 'key'): Promise<string | undefined> {
  const stored = await backend.get(key);
  return stored && Buffer.from(stored.bytes).toString();
}

/** Reads `key`; the answer, which is made now, comes when the test says so. */
async function heldRead(backend: CacheBackend, network: Network): Promise<() => Promise<void>> {
  let answer!: () => void;
  vi.spyOn(network, 'answer').mockImplementationOnce(async (work) => {
    const result = work();
    await new Promise<void>((resolve) => (answer = resolve));
    return result;
  });
  const reading = backend.get('key');
  await settle();
  return async () => {
    answer();
    await reading;
  };
}

function useFakeClock(): void {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
}

describe('A near copy', () => {
  it('is answered at once, and the far tier is not asked', async () => {
    const { backend, far } = await warmed();
    const found = backend.get('key');
    expect(found).not.toBeInstanceOf(Promise);
    expect(found).toMatchObject({ bytes: OLD });
    expect(backend.getMany(['key', 'key'])).toEqual([found, found]);
    expect(far.asked).toEqual([]);
  });

  it('is the same object each time, with the version of the far tier', async () => {
    const { backend, far } = await warmed();
    const found = await backend.get('key');
    expect(backend.get('key')).toBe(found);
    expect(found?.version).toBe(far.store.get('key')?.version);
    expect(await backend.replace('key', found?.version, NEW, MINUTE_MS)).toBeDefined();
    expect(await textOf(backend)).toBe('new');
  });

  it('is shared by all who read it, frozen, with isolate: false', async () => {
    const { backend } = await warmed();
    const cache = new CacheService(backend, { isolate: false });
    await cache.set('shared', { name: 'Ada' });
    await cache.get('shared');
    const value = await cache.get('shared');
    expect(value).toEqual({ name: 'Ada' });
    expect(Object.isFrozen(value)).toBe(true);
    expect(await cache.get('shared')).toBe(value);
  });

  it('lives for nearTtl, counted from when the far tier was asked', async () => {
    useFakeClock();
    const { network, all } = await processes(1, { nearTtl: '5s' });
    const [{ backend, far }] = all as [Process];
    await backend.set('key', OLD, MINUTE_MS);
    network.holdAnswers();
    const reading = backend.get('key');
    vi.advanceTimersByTime(2_000);
    await network.release();
    await reading;
    vi.advanceTimersByTime(2_999);
    expect(backend.get('key')).toMatchObject({ bytes: OLD });
    vi.advanceTimersByTime(1);
    expect(backend.get('key')).toBeInstanceOf(Promise);
    expect(far.asked).toEqual(['set key', 'get key', 'get key']);
  });

  it('lives for 10 seconds by default, and for one where the far tier passes no messages', async () => {
    useFakeClock();
    const withBus = await warmed();
    const withoutBus = new TieredBackend({ near: new InMemoryBackend(), far: new SilentFar() });
    await withoutBus.set('key', OLD, MINUTE_MS);
    await withoutBus.get('key');
    vi.advanceTimersByTime(999);
    expect(withoutBus.get('key')).not.toBeInstanceOf(Promise);
    vi.advanceTimersByTime(1);
    expect(withoutBus.get('key')).toBeInstanceOf(Promise);
    vi.advanceTimersByTime(8_999);
    expect(withBus.backend.get('key')).not.toBeInstanceOf(Promise);
    vi.advanceTimersByTime(1);
    expect(withBus.backend.get('key')).toBeInstanceOf(Promise);
  });

  it('is not made with a nearTtl of 0', async () => {
    const { all } = await processes(1, { nearTtl: 0 });
    const [{ backend }] = all as [Process];
    await backend.set('key', OLD, MINUTE_MS);
    await backend.get('key');
    expect(backend.get('key')).toBeInstanceOf(Promise);
  });

  it('is made of no lease, and of nothing that has expired', async () => {
    const { all } = await processes(1);
    const [{ backend }] = all as [Process];
    const nowMs = Date.now();
    for (const header of [`ck1 l- ${nowMs} ${nowMs + MINUTE_MS}`, `ck1 vj ${nowMs - 2} ${nowMs - 1}`]) {
      await backend.set('key', Buffer.from(`${header}\n1`), MINUTE_MS);
      await backend.get('key');
      expect(backend.get('key')).toBeInstanceOf(Promise);
    }
  });

  it('ends with the freshness of its entry, since another process may have stored a new one', async () => {
    useFakeClock();
    const { all } = await processes(1);
    const [{ backend }] = all as [Process];
    const cache = new CacheService(backend);
    await cache.set('key', 'value', '3s');
    await cache.get('key');
    vi.advanceTimersByTime(2_999);
    expect(backend.get('v:key')).not.toBeInstanceOf(Promise);
    vi.advanceTimersByTime(1);
    expect(backend.get('v:key')).toBeInstanceOf(Promise);
  });

  it('is not made of what is too large for the near tier, which is read from the far one', async () => {
    const { all } = await processes(1, { near: new InMemoryBackend({ maxBytes: 2_000 }) });
    const [{ backend }] = all as [Process];
    await backend.set('key', OLD, MINUTE_MS);
    await backend.get('key');
    await backend.set('key', Buffer.alloc(5_000), MINUTE_MS);
    expect((await backend.get('key'))?.bytes).toHaveLength(5_000);
    expect((await backend.get('key'))?.bytes).toHaveLength(5_000);
  });

  it('is never that of another key, however long or odd the keys are', async () => {
    const { all } = await processes(1);
    const [{ backend }] = all as [Process];
    const keys = ['', ' ', '\ud83d', '\ude00', 'x'.repeat(600), 'x'.repeat(601), `${'x'.repeat(601)}y`];
    for (const key of keys) await backend.set(key, Buffer.from(JSON.stringify(key)), MINUTE_MS);
    for (const key of [...keys, ...keys]) expect(await textOf(backend, key)).toBe(JSON.stringify(key));
    await backend.delete(['x'.repeat(601)]);
    const left = (await backend.getMany(keys)).filter((stored) => stored !== undefined);
    expect(left).toHaveLength(keys.length - 1);
  });

  it('is not replaced by the answer to an older question that comes later', async () => {
    const { backend, far, network } = await warmed();
    await backend.delete(['key']);
    far.store.set('key', OLD, MINUTE_MS);
    const answerOlder = await heldRead(backend, network);
    far.store.set('key', NEW, MINUTE_MS);
    await backend.get('key');
    await answerOlder();
    expect(backend.get('key')).toMatchObject({ bytes: NEW });
  });

  it('gives way to what turns out to be too large for the near tier', async () => {
    const { all, network } = await processes(1, { near: new InMemoryBackend({ maxBytes: 2_000 }) });
    const [{ backend, far }] = all as [Process];
    far.store.set('key', OLD, MINUTE_MS);
    const answerOlder = await heldRead(backend, network);
    far.store.set('key', Buffer.alloc(5_000), MINUTE_MS);
    const answerNewer = await heldRead(backend, network);
    await answerOlder();
    await answerNewer();
    expect((await backend.get('key'))?.bytes).toHaveLength(5_000);
  });

  it('is answered beside what the far tier is asked for in one call', async () => {
    const { backend, far } = await warmed();
    far.store.set('a', NEW, MINUTE_MS);
    const found = await backend.getMany(['missing', 'key', 'a', 'key']);
    expect(found.map((stored) => stored && String(stored.bytes))).toEqual([undefined, 'old', 'new', 'old']);
    expect(far.asked).toEqual(['getMany missing a']);
  });

  it('is still answered while the far tier is away, where all else rejects', async () => {
    const { backend, far } = await warmed();
    far.isAway = true;
    expect(await textOf(backend)).toBe('old');
    await expect(backend.get('other')).rejects.toThrow('the far tier is away');
    await expect(backend.getMany(['key', 'other'])).rejects.toThrow('the far tier is away');
    await expect(backend.set('other', NEW, MINUTE_MS)).rejects.toThrow('the far tier is away');
  });

  it('is parsed once for all its readers, with isolate: false', async () => {
    const backend = new TieredBackend({ near: new InMemoryBackend(), far: new InMemoryBackend() });
    const cache = new CacheService(backend, { isolate: false });
    await cache.set('key', { a: 1 });
    await cache.get('key');
    expect(await cache.get('key')).toBe(await cache.get('key'));
  });
});

describe('A write of the same process', () => {
  const writes: Readonly<Record<string, (backend: CacheBackend) => unknown>> = {
    set: (backend) => backend.set('key', NEW, MINUTE_MS),
    replace: async (backend) => backend.replace('key', (await backend.get('key'))?.version, NEW, MINUTE_MS),
    delete: (backend) => backend.delete(['other', 'key']),
    clear: (backend) => backend.clear(),
  };

  for (const [name, write] of Object.entries(writes)) {
    it(`is in force when its promise resolves: ${name}`, async () => {
      const { backend } = await warmed();
      await write(backend);
      expect(await textOf(backend)).not.toBe('old');
    });

    it(`keeps a read from leaving a copy whose answer is on its way meanwhile: ${name}`, async () => {
      const { all, network } = await processes(1);
      const [{ backend, far }] = all as [Process];
      far.store.set('key', OLD, MINUTE_MS);
      network.holdAnswers();
      const [one, many] = [backend.get('key'), backend.getMany(['key'])];
      far.network.holdMessages();
      const held = far.store.get('key');
      const writing = write(new Proxy(backend, { get: passVersion(held?.version) }));
      await network.release();
      await Promise.all([one, many, writing]);
      expect(await textOf(backend)).not.toBe('old');
    });
  }

  it('keeps a read from leaving a copy that begins while it is under way', async () => {
    const { backend, network, far } = await warmed();
    network.holdAnswers();
    const writing = backend.set('key', NEW, MINUTE_MS);
    // The far tier has taken the write, and says so only later; a server may still answer the old one here.
    far.store.set('key', OLD, MINUTE_MS);
    const reading = backend.get('key');
    await network.release();
    await Promise.all([writing, reading]);
    far.store.set('key', NEW, MINUTE_MS);
    expect(await textOf(backend)).toBe('new');
  });

  it('keeps a read from leaving a copy that begins while all is cleared', async () => {
    const { backend, network, far } = await warmed();
    network.holdAnswers();
    const clearing = backend.clear();
    // A server removes one entry after the other, and this one comes late.
    far.store.set('key', OLD, MINUTE_MS);
    const reading = backend.get('key');
    await network.release();
    await Promise.all([clearing, reading]);
    far.store.clear();
    expect(await textOf(backend)).toBeUndefined();
  });

  it('that lost against another leaves no copy', async () => {
    const { backend, far } = await warmed();
    far.store.set('key', NEW, MINUTE_MS);
    const seen = await backend.get('key');
    expect(await backend.replace('key', seen?.version, OLD, MINUTE_MS)).toBeUndefined();
    expect(await textOf(backend)).toBe('new');
  });

  it('whose outcome is unknown leaves no copy', async () => {
    const { backend, far, network } = await warmed();
    vi.spyOn(network, 'answer').mockImplementationOnce(async (work) => {
      work();
      throw new Error('connection lost');
    });
    await expect(backend.set('key', NEW, MINUTE_MS)).rejects.toThrow('connection lost');
    expect(await textOf(backend)).toBe('new');
    expect(far.asked).toEqual(['set key', 'get key']);
  });

  it('of a tag is in force at once, whatever copies there are', async () => {
    const { all } = await processes(1);
    const [{ backend }] = all as [Process];
    const cache = new CacheService(backend);
    await cache.set('key', 'old', { tags: ['tag'] });
    expect([await cache.get('key'), await cache.get('key')]).toEqual(['old', 'old']);
    await cache.invalidateTags('tag');
    expect(await cache.get('key')).toBeUndefined();
  });
});

describe('A change by another process', () => {
  it('is heard as a key, never as a value', async () => {
    const { network, here } = await warmedTwo();
    network.messages.length = 0;
    await here.backend.set('key', Buffer.from('the value'), MINUTE_MS);
    await here.backend.delete(['a', 'b']);
    expect(network.messages.map((text) => JSON.parse(text))).toMatchObject([
      { names: ['key'] },
      { names: ['a', 'b'] },
    ]);
    expect(network.messages.join()).not.toContain('the value');
  });

  it('drops the copy of its key, and no other', async () => {
    const { here, there } = await warmedTwo();
    await here.backend.set('other', OLD, MINUTE_MS);
    await there.backend.get('other');
    await here.backend.set('key', NEW, MINUTE_MS);
    expect(await textOf(there.backend)).toBe('new');
    expect(there.backend.get('other')).not.toBeInstanceOf(Promise);
  });

  it('drops all copies where it is a clear', async () => {
    const { here, there } = await warmedTwo();
    await here.backend.clear();
    expect(await textOf(there.backend)).toBeUndefined();
  });

  it('keeps a read from leaving a copy that began before it was heard', async () => {
    const { network, here, there } = await warmedTwo();
    await here.backend.delete(['key']);
    there.far.store.set('key', OLD, MINUTE_MS);
    network.holdAnswers();
    const reading = there.backend.get('key');
    await settle();
    // The write is done by now, and its message overtakes the answer of the read.
    there.far.store.set('key', NEW, MINUTE_MS);
    await network.send(JSON.stringify({ from: 'somebody', names: ['key'] }));
    await network.release();
    expect((await reading)?.bytes).toEqual(OLD);
    expect(await textOf(there.backend)).toBe('new');
  });

  it('lets a read leave a copy that began after it was heard, though an older one is still under way', async () => {
    const { network, here, there } = await warmedTwo();
    await here.backend.delete(['key']);
    network.holdAnswers();
    const older = there.backend.get('key');
    await network.send(JSON.stringify({ from: 'somebody', names: ['key'] }));
    there.far.store.set('key', NEW, MINUTE_MS);
    const newer = there.backend.get('key');
    await network.release();
    await Promise.all([older, newer]);
    expect(there.backend.get('key')).toMatchObject({ bytes: NEW });
  });

  it('is not heard of by the process that made it, whose newer copy stays', async () => {
    const { network, here } = await warmedTwo();
    network.holdMessages();
    await here.backend.set('key', NEW, MINUTE_MS);
    await here.backend.get('key');
    await network.release();
    expect(here.backend.get('key')).toMatchObject({ bytes: NEW });
  });

  it('drops all copies where the message is not understood', async () => {
    for (const text of [
      '',
      '{',
      'null',
      '7',
      '{"from":"x"}',
      '{"from":"x","names":[1]}',
      '{"names":"key"}',
    ]) {
      const { network, there } = await warmedTwo();
      await network.send(text);
      expect(there.backend.get('key')).toBeInstanceOf(Promise);
    }
  });

  it('drops all copies where it may have gone unheard: when the bus is lost, and when it is back', async () => {
    const { network, there } = await warmedTwo();
    for (const event of ['cutBus', 'mendBus'] as const) {
      await there.backend.get('key');
      network[event]();
      expect(await there.backend.get('key'), event).toBeDefined();
      expect(there.backend.get('key'), 'a copy lives while the bus is away, too').not.toBeInstanceOf(Promise);
    }
    expect(there.far.asked).toEqual(['get key', 'get key']);
  });

  it('keeps a read from leaving a copy during which the bus was lost or came back', async () => {
    for (const event of ['cutBus', 'mendBus'] as const) {
      const { network, there } = await warmedTwo();
      await there.backend.delete(['key']);
      there.far.store.set('key', OLD, MINUTE_MS);
      network.holdAnswers();
      const reading = there.backend.get('key');
      await settle();
      network[event]();
      there.far.store.set('key', NEW, MINUTE_MS);
      await network.release();
      await reading;
      expect(await textOf(there.backend)).toBe('new');
    }
  });

  it('of many keys is heard in messages of at most 4,000 bytes', async () => {
    const { network, here, there } = await warmedTwo();
    const keys = Array.from({ length: 300 }, (_, index) => `${index}${'\u0000"ж'.repeat(index % 250)}`);
    for (const key of keys) there.far.store.set(key, OLD, MINUTE_MS);
    await there.backend.getMany(keys);
    await here.backend.delete(keys);
    expect(Math.max(...network.messages.map((text) => Buffer.byteLength(text)))).toBeLessThanOrEqual(4_000);
    expect(await there.backend.getMany(keys)).toEqual(keys.map(() => undefined));
  });

  it('is heard together with those made while the message before was on its way', async () => {
    const { network, here } = await warmedTwo();
    network.messages.length = 0;
    network.holdReceipts();
    const first = here.backend.delete(['a']);
    await settle();
    const others = ['b', 'c', 'b'].map((key) => here.backend.delete([key]));
    await settle();
    expect(network.messages.map((text) => JSON.parse(text).names)).toEqual([['a']]);
    await network.release();
    await Promise.all([first, ...others]);
    expect(network.messages.map((text) => JSON.parse(text).names)).toEqual([['a'], ['b', 'c']]);
  });

  it('is not told of a lease, which takes the place of nothing', async () => {
    const { network, here } = await warmedTwo();
    network.messages.length = 0;
    expect(await new CacheService(here.backend).getOrSet('new key', () => 'value')).toBe('value');
    await settle();
    expect(network.messages.map((text) => JSON.parse(text))).toMatchObject([{ names: ['v:new key'] }]);
  });
});

describe('A change that the others can not be told of', () => {
  it('rejects, and says for how long they may be behind', async () => {
    const { network, here } = await warmedTwo();
    network.cutBus();
    for (const change of [
      here.backend.set('key', NEW, MINUTE_MS),
      here.backend.delete(['key']),
      here.backend.clear(),
    ]) {
      const error: Error = await change.then(String, (reason) => reason);
      expect(error).toBeInstanceOf(BackendUnavailableError);
      expect(error.message).toContain('for at most 10000 ms. (the bus is cut)');
      expect(error.cause).toMatchObject({ message: 'the bus is cut' });
    }
  });

  it('is told by the cache as soon as they can be', async () => {
    const { network, here, there } = await warmedTwo();
    const [cache, other] = [new CacheService(here.backend), new CacheService(there.backend)];
    await cache.set('key', 'old', { tags: ['tag'] });
    network.cutBus();
    expect([await other.get('key'), await other.get('key')]).toEqual(['old', 'old']);
    await expect(cache.invalidateTags('tag')).rejects.toThrow('could not be told');
    expect(await other.get('key')).toBe('old');
    network.mendBus();
    await cache.get('key');
    expect(await other.get('key')).toBeUndefined();
  });

  it('is not made again in the far tier, where others may have written since', async () => {
    const { network, here, there } = await warmedTwo();
    const [cache, other] = [new CacheService(here.backend), new CacheService(there.backend)];
    network.cutBus();
    await expect(cache.clear()).rejects.toThrow(NotAnnouncedError);
    expect(cache.stats().pendingInvalidations).toBe(0);
    await other.getOrSet('later', () => 'value');
    await cache.get('anything');
    await settle();
    expect(await other.get('later')).toBe('value');
  });

  it('goes out with the next one', async () => {
    const { network, here } = await warmedTwo();
    network.cutBus();
    await expect(here.backend.delete(['first'])).rejects.toThrow(NotAnnouncedError);
    network.mendBus();
    network.messages.length = 0;
    await here.backend.delete(['second']);
    expect(network.messages.map((text) => JSON.parse(text))).toMatchObject([{ names: ['first', 'second'] }]);
  });

  it('does not reject where it is conditional, since who won must be known', async () => {
    const { network, here } = await warmedTwo();
    network.cutBus();
    const cache = new CacheService(here.backend);
    expect(await here.backend.replace('fresh', undefined, NEW, MINUTE_MS)).toMatchObject({ bytes: NEW });
    expect([await cache.increment('count'), await cache.increment('count')]).toEqual([1, 2]);
    expect(await cache.getOrSet('loaded', () => 'value')).toBe('value');
    expect(await cache.get('loaded')).toBe('value');
  });

  it('may have taken effect although it failed, so they are told of that too', async () => {
    const { network, here, there } = await warmedTwo();
    vi.spyOn(network, 'answer').mockImplementationOnce(async (work) => {
      work();
      throw new Error('connection lost');
    });
    await expect(here.backend.set('key', NEW, MINUTE_MS)).rejects.toThrow('connection lost');
    await settle();
    expect(await textOf(there.backend)).toBe('new');
    here.far.isAway = true;
    await expect(here.backend.clear()).rejects.toThrow('away');
    await settle();
    expect(there.backend.get('key')).toBeInstanceOf(Promise);
  });
});

describe('A cache on two tiers, some of whose copies are behind', () => {
  /** Two services whose processes do not hear of each other. */
  async function deaf(): Promise<{ here: CacheService; there: CacheService; far: FarBackend }> {
    const { all, network } = await processes(2);
    network.holdMessages();
    const [here, there] = all as [Process, Process];
    return { here: new CacheService(here.backend), there: new CacheService(there.backend), far: here.far };
  }

  it('finds what another process stored, before it loads', async () => {
    const { here, there } = await deaf();
    await there.set('key', 'old', { tags: ['tag'] });
    expect([await here.get('key'), await here.get('key')]).toEqual(['old', 'old']);
    await here.invalidateTags('tag');
    await there.invalidateTags('tag');
    await there.set('key', 'new', { tags: ['tag'] });
    expect(await here.getOrSet('key', () => 'loaded in vain')).toBe('new');
  });

  it('does not take a good entry for invalidated because its own copy of the tag is older', async () => {
    for (const tags of [['tag'], []]) {
      const { here, there } = await deaf();
      await here.set('first', 'old', { tags: ['tag'] });
      expect([await here.get('first'), await here.get('first')]).toEqual(['old', 'old']);
      await there.invalidateTags('tag');
      await there.set('key', 'new', { tags: ['tag'] });
      expect(await here.getOrSet('key', () => 'loaded in vain', { tags })).toBe('new');
    }
  });

  it('counts right, whatever it saw near', async () => {
    const { here, there } = await deaf();
    for (let round = 0; round < 3; round++) {
      await here.increment('count');
      await here.get('count');
      await there.increment('count');
      await there.get('count');
    }
    expect(await here.increment('count')).toBe(7);
  });
});

describe('A cache whose far tier is away', () => {
  it('is silent: goes on to answer what is near, while it waits for nothing else', async () => {
    useFakeClock();
    const { backend, far, network } = await warmed();
    Object.assign(backend, { deadlines: { readMs: 20, writeMs: 20 } });
    const events: CacheEvent[] = [];
    const cache = new CacheService(backend, { onEvent: (event) => events.push(event) });
    await cache.set('near', 'value');
    await cache.get('near');
    network.holdAnswers();
    for (let count = 0; count < 5; count++) {
      expect(await cache.get(`far ${count}`)).toBeUndefined();
      expect(await cache.get('near')).toBe('value');
    }
    expect(events).toContainEqual({ type: 'breaker', state: 'open' });
    far.asked.length = 0;
    expect(await cache.get('near')).toBe('value');
    expect(await cache.getMany(['near', 'near'])).toEqual(['value', 'value']);
    expect(await cache.get('far')).toBeUndefined();
    expect(far.asked).toEqual([]);
    expect(events).not.toContainEqual({ type: 'breaker', state: 'closed' });
  });

  it('rejects: is not taken for back because something near was answered', async () => {
    const { backend, far } = await warmed();
    const cache = new CacheService(backend);
    await cache.set('near', 'value');
    await cache.get('near');
    far.isAway = true;
    await expect(cache.delete('other')).rejects.toThrow('away');
    far.asked.length = 0;
    expect(await cache.get('near')).toBe('value');
    await settle();
    expect(far.asked).toEqual([]);
    far.isAway = false;
    await cache.get('anything');
    await expect.poll(() => far.asked).toEqual(['get v:anything', 'delete v:other']);
  });
});

describe('TieredBackend', () => {
  const first: Readonly<Record<string, (backend: CacheBackend) => unknown>> = {
    get: (backend) => backend.get('key'),
    getMany: (backend) => backend.getMany(['key']),
    set: (backend) => backend.set('key', OLD, MINUTE_MS),
    replace: (backend) => backend.replace('key', undefined, OLD, MINUTE_MS),
    delete: (backend) => backend.delete(['key']),
    clear: (backend) => backend.clear(),
  };
  for (const [name, operate] of Object.entries(first)) {
    it(`begins to listen with its first operation: ${name}`, async () => {
      const { all, network } = await processes(1);
      const [{ far }] = all as [Process];
      const backend = new TieredBackend({ near: new InMemoryBackend(), far });
      await operate(backend);
      expect(network.listening).toBe(2);
      await backend.close();
      expect(network.listening).toBe(1);
    });
  }

  it('does not listen after close, until it is opened again', async () => {
    const { backend, network } = await warmed();
    await backend.close();
    await backend.get('key');
    expect(network.listening).toBe(0);
    await backend.open();
    await backend.open();
    expect(network.listening).toBe(1);
    expect(await textOf(backend)).toBe('old');
    await network.send('{"from":"somebody","names":["key"]}');
    expect(backend.get('key')).toBeInstanceOf(Promise);
  });

  it('keeps nothing of a read that ends after close', async () => {
    const { backend, network, far } = await warmed();
    await backend.delete(['key']);
    far.store.set('key', OLD, MINUTE_MS);
    network.holdAnswers();
    const reading = backend.get('key');
    await backend.close();
    await network.release();
    await reading;
    expect(backend.get('key')).toBeInstanceOf(Promise);
  });

  it('opens and closes all it has, also when one of them fails', async () => {
    const [near, far] = [new InMemoryBackend(), new SilentFar()];
    const opened = vi.spyOn(near, 'open');
    const closed = vi.spyOn(near, 'close');
    far.open = () => Promise.reject(new Error('nobody is there'));
    far.close = () => Promise.reject(new Error('nobody was there'));
    const backend = new TieredBackend({ near, far });
    await expect(backend.open()).rejects.toThrow('nobody is there');
    await expect(backend.close()).rejects.toThrow('nobody was there');
    expect([opened, closed].map((spy) => spy.mock.calls.length)).toEqual([1, 1]);
  });

  it('takes the deadlines of its far tier', () => {
    class Distant extends InMemoryBackend {
      override readonly deadlines = { readMs: 1_000, writeMs: 2_000 };
    }
    const backend = new TieredBackend({ near: new InMemoryBackend(), far: new Distant() });
    expect(backend.deadlines).toEqual({ readMs: 1_000, writeMs: 2_000 });
  });

  it('refuses options that make no sense, and says which', () => {
    const [near, far] = [new InMemoryBackend(), new InMemoryBackend()];
    const make = (options: object) => () => new TieredBackend(options as never);
    expect(make({ near, far, ttl: 5 })).toThrow(/unknown option "ttl".*near, far, nearTtl/);
    expect(make({ far })).toThrow(/near: undefined is not a cache backend/);
    expect(make({ near, far: InMemoryBackend })).toThrow(/far: got the class InMemoryBackend/);
    expect(make({ near, far: near })).toThrow(/same backend/);
    expect(make({ near, far, nearTtl: Infinity })).toThrow(RangeError);
    expect(make({ near, far, nearTtl: '5 s' })).toThrow(/nearTtl/);
    for (const options of [undefined, null, []]) expect(make(options as never)).toThrow(CachekitConfigError);
  });

  it('refuses a near tier that is not in this process, or that others write to', async () => {
    const promising = new SilentFar() as CacheBackend as NearBackend;
    const backend = new TieredBackend({ near: promising, far: new InMemoryBackend() });
    expect(() => backend.get('key')).toThrow(/must be a backend in this process/);
    const shared = new InMemoryBackend();
    shared.set('key', OLD, MINUTE_MS);
    const second = new TieredBackend({ near: shared, far: new InMemoryBackend() });
    expect(() => second.get('key')).toThrow(CachekitConfigError);
  });
});

/** A backend that passes no messages, and answers by promises. */
class SilentFar extends InMemoryBackend {
  override get(key: string): never {
    return Promise.resolve(super.get(key)) as never;
  }
}

/** For a write that must not read first. */
function passVersion(version: string | undefined) {
  return (target: CacheBackend, name: keyof CacheBackend): unknown => {
    if (name === 'get') return () => ({ version });
    const member: unknown = target[name];
    return typeof member === 'function' ? member.bind(target) : member;
  };
}
