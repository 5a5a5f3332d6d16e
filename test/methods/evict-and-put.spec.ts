import { Injectable } from '@nestjs/common';
import {
  Cached,
  CacheEvict,
  type CacheEvent,
  CachekitModule,
  CachePut,
  CacheService,
  InMemoryBackend,
} from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { Gate } from '../http/gate.js';
import { provide, start } from './start.js';

interface Cat {
  id: string;
  name: string;
}

class Unstorable {
  readonly id = '1';
}

@Injectable()
class CatsService {
  readonly cats = new Map([
    ['1', 'Tom'],
    ['2', 'Kit'],
  ]);
  readonly gate = new Gate();
  readonly entered = new Gate();
  failure: Error | undefined;

  @Cached({ tags: ({ args: [id] }) => ['cats', `cat:${String(id)}`] })
  async find(id: string): Promise<Cat | null> {
    const name = this.cats.get(id);
    return name === undefined ? null : { id, name };
  }
  @Cached({ unless: (value) => value === 'secret' })
  async nameOf(id: string): Promise<string> {
    return this.cats.get(id) ?? 'nobody';
  }

  @CacheEvict({ tags: ({ args: [id] }) => [`cat:${String(id)}`] })
  async rename(id: string, name: string): Promise<string> {
    this.cats.set(id, name);
    if (this.failure) throw this.failure;
    return name;
  }
  @CacheEvict({ method: 'find' })
  async remove(id: string): Promise<void> {
    this.cats.delete(id);
  }
  @CacheEvict({ method: 'find', args: ({ args: [cat] }) => [(cat as Cat).id] })
  async update(cat: Cat): Promise<void> {
    this.cats.set(cat.id, cat.name);
  }
  @CacheEvict({ all: true })
  async removeAll(): Promise<void> {
    this.cats.clear();
  }
  @CacheEvict({ tags: ['cats'], before: true })
  async import(): Promise<void> {
    this.entered.open();
    await this.gate.opened;
    this.cats.set('1', 'Imported');
    if (this.failure) throw this.failure;
  }
  @CacheEvict({ method: 'find' })
  @CacheEvict({ method: 'nameOf' })
  async forget(id: string): Promise<void> {
    this.cats.delete(id);
  }
  @CacheEvict({
    tags: () => {
      throw new Error('a fault in a callback');
    },
  })
  async faulty(): Promise<string> {
    return 'done';
  }

  @CachePut({ method: 'find', args: ({ args: [cat] }) => [(cat as Cat).id] })
  async save(cat: Cat): Promise<Cat> {
    if (this.failure) throw this.failure;
    return { ...cat, name: `${cat.name} (saved)` };
  }
  @CachePut<Cat>({ method: 'find', args: (_call, cat) => [cat.id] })
  async create(name: string): Promise<Cat> {
    return { id: '3', name };
  }
  @CachePut({ method: 'nameOf' })
  async secretName(_id: string): Promise<string> {
    return 'secret';
  }
  @CachePut({ method: 'nameOf' })
  async saveNothing(_id: string): Promise<void> {}
  @CachePut({ method: 'nameOf' })
  async saveInstance(_id: string): Promise<Unstorable> {
    return new Unstorable();
  }
  @CachePut<string>({ method: 'nameOf', args: () => [new Unstorable()] })
  async saveNowhere(): Promise<string> {
    return 'done';
  }
}

describe('@CacheEvict on a provider method', () => {
  it('evicts what carries its tags, and nothing else', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    await cats.find('2');
    cats.cats.set('2', 'Changed');
    expect(await cats.rename('1', 'Tim')).toBe('Tim');
    expect([await cats.find('1'), await cats.find('2')]).toEqual([
      { id: '1', name: 'Tim' },
      { id: '2', name: 'Kit' },
    ]);
  });

  it('evicts nothing when the method fails', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    cats.failure = new Error('refused');
    await expect(cats.rename('1', 'Tim')).rejects.toBe(cats.failure);
    expect(await cats.find('1')).toMatchObject({ name: 'Tom' });
  });

  it('evicts the answer of another method to the same arguments', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    await cats.remove('1');
    expect(await cats.find('1')).toBeNull();
  });

  it('evicts the answer of another method to the arguments that it names', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    await cats.update({ id: '1', name: 'Tim' });
    expect(await cats.find('1')).toMatchObject({ name: 'Tim' });
  });

  it('evicts the whole cache with all', async () => {
    const app = await start({ providers: [CatsService] });
    const cats = app.get(CatsService);
    await cats.find('1');
    await app.get(CacheService).set('other', 1);
    await cats.removeAll();
    expect([await cats.find('1'), await app.get(CacheService).get('other')]).toEqual([null, undefined]);
  });

  it('takes effect several times', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    await cats.nameOf('1');
    await cats.forget('1');
    expect([await cats.find('1'), await cats.nameOf('1')]).toEqual([null, 'nobody']);
  });

  it('makes a load that is running while it evicts one that nobody gets later', async () => {
    const gate = new Gate();
    const entered = new Gate();
    @Injectable()
    class Slow {
      value = 'old';
      @Cached({ tags: ['slow'] })
      async read(): Promise<string> {
        const { value } = this;
        entered.open();
        await gate.opened;
        return value;
      }
      @CacheEvict({ tags: ['slow'] })
      async write(): Promise<void> {
        this.value = 'new';
      }
    }
    const slow = await provide(Slow);
    const reading = slow.read();
    await entered.opened;
    await slow.write();
    gate.open();
    expect([await reading, await slow.read()]).toEqual(['old', 'new']);
  });

  it.each([
    ['succeeds', undefined],
    ['fails', new Error('half of it')],
  ])('with before, evicts before the method runs and when it %s', async (_what, failure) => {
    const cats = await provide(CatsService);
    await cats.find('1');
    cats.cats.set('1', 'Changed before');
    cats.failure = failure;
    const importing = cats.import().catch((error: unknown) => error);
    await cats.entered.opened;
    expect(await cats.find('1')).toMatchObject({ name: 'Changed before' });
    cats.gate.open();
    expect(await importing).toBe(failure);
    expect(await cats.find('1')).toMatchObject({ name: 'Imported' });
  });

  it('does not fail the method when the eviction fails, and tells', async () => {
    class ReadOnlyBackend extends InMemoryBackend {
      override set(): never {
        throw new Error('read-only');
      }
    }
    const events: CacheEvent[] = [];
    const onEvent = (event: CacheEvent): void => void events.push(event);
    const caches = [CachekitModule.forRoot(new ReadOnlyBackend(), { onEvent })];
    const cats = (await start({ providers: [CatsService], caches })).get(CatsService);
    const told = (): unknown[] =>
      events.splice(0).filter((event) => event.type === 'error' && event.operation === 'evict');
    expect(await cats.rename('1', 'Tim')).toBe('Tim');
    expect(told()).toMatchObject([{ error: { message: expect.stringContaining('made up for') as string } }]);
    expect(await cats.faulty()).toBe('done');
    expect(told()).toMatchObject([{ error: { message: expect.stringContaining('a fault') as string } }]);
  });

  it('does nothing on an instance made by hand, nor without CachekitModule', async () => {
    expect(await new CatsService().rename('1', 'Tim')).toBe('Tim');
    const app = await start({ providers: [CatsService], caches: [] });
    expect(await app.get(CatsService).rename('1', 'Tim')).toBe('Tim');
  });
});

describe('@CachePut', () => {
  it('runs always, and stores its answer as what the named method would answer', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    expect(await cats.save({ id: '1', name: 'Tim' })).toEqual({ id: '1', name: 'Tim (saved)' });
    await cats.save({ id: '1', name: 'Jim' });
    expect(await cats.find('1')).toEqual({ id: '1', name: 'Jim (saved)' });
  });

  it('names the arguments by what it answered', async () => {
    const cats = await provide(CatsService);
    await cats.create('Ann');
    expect(await cats.find('3')).toEqual({ id: '3', name: 'Ann' });
  });

  it('stores with the tags of the named method', async () => {
    const app = await start({ providers: [CatsService] });
    const cats = app.get(CatsService);
    await cats.save({ id: '1', name: 'Tim' });
    await app.get(CacheService).invalidateTags('cat:1');
    expect(await cats.find('1')).toEqual({ id: '1', name: 'Tom' });
  });

  it('stores nothing when the method fails', async () => {
    const cats = await provide(CatsService);
    await cats.find('1');
    cats.failure = new Error('refused');
    await expect(cats.save({ id: '1', name: 'Tim' })).rejects.toBe(cats.failure);
    expect(await cats.find('1')).toMatchObject({ name: 'Tom' });
  });

  it.each(['secretName', 'saveNothing', 'saveInstance'] as const)(
    'removes the old answer when the new one can not be stored (%s)',
    async (method) => {
      const cats = await provide(CatsService);
      await cats.nameOf('1');
      cats.cats.set('1', 'Changed');
      await cats[method]('1');
      expect(await cats.nameOf('1')).toBe('Changed');
    },
  );

  it('does not fail the method when the write fails, and tells', async () => {
    const warnings: string[] = [];
    const cats = await provide(CatsService, warnings);
    expect(await cats.saveNowhere()).toBe('done');
    expect(warnings).toEqual([
      expect.stringMatching(/saveNowhere: the new answer was not stored.*Unstorable/),
    ]);
  });

  it('wins over a load that began before it', async () => {
    const gate = new Gate();
    const entered = new Gate();
    @Injectable()
    class Slow {
      @Cached()
      async read(): Promise<string> {
        entered.open();
        await gate.opened;
        return 'old';
      }
      @CachePut({ method: 'read' })
      async write(): Promise<string> {
        return 'new';
      }
    }
    const slow = await provide(Slow);
    const reading = slow.read();
    await entered.opened;
    await slow.write();
    gate.open();
    expect([await reading, await slow.read()]).toEqual(['old', 'new']);
  });
});
