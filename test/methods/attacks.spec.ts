import { Injectable, type Type } from '@nestjs/common';
import {
  BackendUnavailableError,
  Cached,
  CacheEvict,
  type CacheEvent,
  CachekitModule,
  CachePut,
  InMemoryBackend,
} from 'nestjs-cachekit';
import { defer, firstValueFrom, lastValueFrom, type Observable, of, throwError } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Gate } from '../http/gate.js';
import { provide, start } from './start.js';

interface Asker {
  headers: Record<string, string>;
  user?: string;
}
const nextMacrotask = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('@CachePut stores nothing that the named method would keep out, and removes the old answer:', () => {
  @Injectable()
  class Drafts {
    shown = 'first';
    @Cached({
      key: ({ args: [id] }) => String(id),
      when: ({ args: [, options] }) => (options as { preview: boolean } | undefined)?.preview !== true,
    })
    async find(_id: string, _options?: { preview: boolean }): Promise<string> {
      return this.shown;
    }
    @CachePut({ method: 'find' })
    async save(_id: string, _options: { preview: boolean }): Promise<string> {
      return 'put';
    }
    @CachePut({ method: 'find', args: ({ args: [id] }) => [id] })
    async saveNamed(_id: string, _options: { preview: boolean }): Promise<string> {
      return 'put';
    }
  }

  it.each(['save', 'saveNamed'] as const)('what when refuses (%s)', async (method) => {
    const drafts = await provide(Drafts);
    await drafts.find('1');
    drafts.shown = 'second';
    await drafts[method]('1', { preview: true });
    expect(await drafts.find('1')).toBe('second');
    await drafts[method]('1', { preview: false });
    expect(await drafts.find('1')).toBe('put');
  });

  @Injectable()
  class Profiles {
    @Cached({ key: ({ args: [, id] }) => String(id) })
    async find(asker: Asker, _id: string): Promise<string> {
      return `of ${asker.user ?? 'nobody'}`;
    }
    @Cached()
    async name(_id: string): Promise<string> {
      return 'of nobody';
    }
    @CachePut({ method: 'find' })
    async save(asker: Asker, _id: string): Promise<string> {
      return `of ${asker.user ?? 'nobody'}`;
    }
    @CachePut({ method: 'name', args: ({ args: [, id] }) => [id] })
    async rename(asker: Asker, _id: string): Promise<string> {
      return `of ${asker.user ?? 'nobody'}`;
    }
  }

  it('what is answered to somebody', async () => {
    const profiles = await provide(Profiles);
    const alice = { headers: { cookie: 'a' }, user: 'alice' };
    await profiles.save(alice, '1');
    await profiles.rename(alice, '1');
    expect(await profiles.find({ headers: {} }, '1')).toBe('of nobody');
    expect(await profiles.name('1')).toBe('of nobody');
  });
});

describe('With a key, users do not share an answer by', () => {
  class Session {
    constructor(private readonly name: string) {}
    whoAmI(): string {
      return this.name;
    }
  }
  class ListQuery {
    readonly page = 1;
  }
  @Injectable()
  class Orders {
    runs = 0;
    @Cached({ key: 'orders' })
    async find(_context: unknown): Promise<number> {
      return ++this.runs;
    }
    @Cached({ key: 'public orders', scope: 'public' })
    async findPublic(_context: unknown): Promise<number> {
      return ++this.runs;
    }
  }

  it.each<[string, (who: string) => unknown]>([
    ['a user', (who) => ({ user: { id: who } })],
    ['a handshake', (who) => ({ handshake: { headers: { cookie: who } } })],
    ['the data of a socket', (who) => ({ data: { user: who } })],
    ['the parameters of a connection', (who) => ({ connectionParams: { authorization: who } })],
    ['the extra of a subscription', (who) => ({ extra: { request: { headers: { authorization: who } } } })],
    ['the headers of a message', (who) => ({ getHeaders: () => ({ authorization: who }) })],
    ['an execution context', (who) => ({ switchToHttp: () => who })],
    ['the session of a request', (who) => ({ req: { headers: {}, session: { user: who } } })],
    ['an instance with methods', (who) => new Session(who)],
    ['an object that holds one', (who) => ({ current: new Session(who) })],
    ['a list that holds one', (who) => [new Session(who)]],
    ['a Map that holds one', (who) => new Map([['session', new Session(who)]])],
    ['a proxy', (who) => new Proxy({ who }, {})],
  ])('%s', async (_what, contextOf) => {
    const orders = await provide(Orders);
    expect([await orders.find(contextOf('a')), await orders.find(contextOf('b'))]).toEqual([1, 2]);
    await orders.findPublic(contextOf('a'));
    expect(await orders.findPublic(contextOf('b'))).toBe(3);
  });

  it.each<[string, unknown]>([
    ['an instance that is nothing but data', new ListQuery()],
    ['plain data', { page: 1, tags: ['a'], since: new Date(0), by: new Map([['a', { b: 1 }]]) }],
    ['a Buffer', Buffer.from('a')],
    ['the request of a visitor', { headers: { accept: 'text/html' } }],
  ])('but do share it with %s', async (_what, argument) => {
    const orders = await provide(Orders);
    expect([await orders.find(argument), await orders.find(argument)]).toEqual([1, 1]);
  });

  it('with one warning that tells what to say', async () => {
    @Injectable()
    class WarnedOrders {
      @Cached({ key: 'orders' })
      async find(_context: unknown): Promise<number> {
        return 1;
      }
    }
    const warnings: string[] = [];
    const orders = await provide(WarnedOrders, warnings);
    for (const user of ['alice', 'bob']) await orders.find({ user });
    expect(warnings).toEqual([expect.stringMatching(/WarnedOrders\.find: .*scope: 'public'/)]);
    expect(warnings[0]).not.toMatch(/alice|bob/);
  });
});

describe('One part of an eviction', () => {
  const unhandled = vi.fn<(reason: unknown) => void>();
  afterEach(() => {
    process.off('unhandledRejection', unhandled);
    unhandled.mockReset();
  });
  class Dto {
    constructor(readonly id: string) {}
  }
  class Failing extends InMemoryBackend {
    isAway = false;
    override delete(keys: readonly string[]): ReturnType<InMemoryBackend['delete']> {
      if (this.isAway) throw new BackendUnavailableError('away');
      return super.delete(keys);
    }
  }
  @Injectable()
  class Cats {
    runs = 0;
    @Cached({ tags: ['cats'] })
    async find(_id: unknown): Promise<number> {
      return ++this.runs;
    }
    @CacheEvict({ tags: ['cats'], method: 'find' })
    async save(_cat: Dto): Promise<void> {}
    @CacheEvict({ method: 'find', tags: ({ args: [cat] }) => [(cat as Dto).id] })
    async remove(_cat: unknown): Promise<string> {
      return 'removed';
    }
  }

  async function startCats(): Promise<{ cats: Cats; backend: Failing; told: string[] }> {
    const told: string[] = [];
    const onEvent = (event: CacheEvent): void => {
      if (event.type === 'error' && event.operation === 'evict') told.push(String(event.error));
    };
    const backend = new Failing();
    const app = await start({ providers: [Cats], caches: [CachekitModule.forRoot(backend, { onEvent })] });
    return { cats: app.get(Cats), backend, told };
  }

  it('that fails does not drop another one, and is told', async () => {
    const { cats, told } = await startCats();
    await cats.find('1');
    await cats.save(new Dto('1'));
    expect(await cats.find('1')).toBe(2);
    expect(told).toEqual([expect.stringMatching(/save: the eviction failed.*Dto/)]);
  });

  it('that fails beside another one leaves no rejection behind, and both are told', async () => {
    process.on('unhandledRejection', unhandled);
    const { cats, backend, told } = await startCats();
    await cats.find(null);
    backend.isAway = true;
    expect(await cats.remove(null)).toBe('removed');
    backend.isAway = false;
    await nextMacrotask();
    expect(unhandled).not.toHaveBeenCalled();
    expect(told).toHaveLength(2);
  });
});

describe('An argument that is changed', () => {
  @Injectable()
  class Cats {
    readonly entered = new Gate();
    readonly gate = new Gate();
    runs = 0;
    @Cached()
    async slow(cat: { id: string }): Promise<string> {
      this.entered.open();
      await this.gate.opened;
      return cat.id;
    }
    @Cached({ tags: ({ args: [cat] }) => [(cat as { id: string }).id] })
    async find(_cat: object): Promise<number> {
      return ++this.runs;
    }
    @CacheEvict({ method: 'find' })
    async update(cat: { id: string }): Promise<void> {
      cat.id = 'changed';
    }
    @CacheEvict({ tags: ({ args: [cat] }) => [(cat as { id: string }).id] })
    async updateTagged(cat: { id: string }): Promise<void> {
      cat.id = 'changed';
    }
  }

  it('while the method runs leaves nothing under the old key', async () => {
    const cats = await provide(Cats);
    const cat = { id: 'alice' };
    const finding = cats.slow(cat);
    await cats.entered.opened;
    cat.id = 'bob';
    cats.gate.open();
    expect(await finding).toBe('bob');
    expect(await cats.slow({ id: 'alice' })).toBe('alice');
  });

  it.each(['update', 'updateTagged'] as const)('by %s evicts what it was, and what it is', async (method) => {
    const cats = await provide(Cats);
    for (const id of ['1', 'changed']) await cats.find({ id });
    await cats[method]({ id: '1' });
    expect([await cats.find({ id: '1' }), await cats.find({ id: 'changed' })]).toEqual([3, 4]);
  });
});

describe('A class that extends another one', () => {
  function baseOf(): Type<{ value: string; find(id: string): Promise<string> }> {
    class Svc {
      value = 'old';
      @Cached()
      async find(_id: string): Promise<string> {
        return this.value;
      }
    }
    return Svc;
  }

  it('of the same name has entries of its own', async () => {
    @Injectable()
    class Svc extends baseOf() {
      @Cached()
      override async find(id: string): Promise<string> {
        return `sub of ${await super.find(id)}`;
      }
    }
    const svc = await provide(Svc);
    expect([await svc.find('1'), await svc.find('1')]).toEqual(['sub of old', 'sub of old']);
  });

  it('evicts the answers of both by the name of the method', async () => {
    @Injectable()
    class Sub extends baseOf() {
      @Cached()
      override async find(id: string): Promise<string> {
        return `sub of ${await super.find(id)}`;
      }
      @CacheEvict({ method: 'find', args: ({ args: [id] }) => [id] })
      async set(_id: string, value: string): Promise<void> {
        this.value = value;
      }
    }
    const sub = await provide(Sub);
    await sub.find('1');
    await sub.set('1', 'new');
    expect(await sub.find('1')).toBe('sub of new');
  });
});

describe('An Observable of a method with @CacheEvict', () => {
  @Injectable()
  class Cats {
    value = 'old';
    @Cached()
    async find(): Promise<string> {
      return this.value;
    }
    @CacheEvict({ method: 'find', args: () => [] })
    async save(work: Observable<string>): Promise<Observable<string>> {
      return work;
    }
  }
  const changing = (cats: Cats, gate: Gate): Observable<string> =>
    defer(async () => {
      await gate.opened;
      return (cats.value = 'new');
    });

  it.each([
    ['its end', lastValueFrom<string>],
    ['its first value, when nobody waits for more', firstValueFrom<string>],
  ])('evicts after %s', async (_when, take) => {
    const cats = await provide(Cats);
    const gate = new Gate();
    const work = take(await cats.save(changing(cats, gate)));
    expect(await cats.find()).toBe('old');
    gate.open();
    expect(await work).toBe('new');
    expect(await cats.find()).toBe('new');
  });

  it('evicts nothing when it fails', async () => {
    const cats = await provide(Cats);
    await cats.find();
    cats.value = 'new';
    const failure = new Error('refused');
    await expect(lastValueFrom(await cats.save(throwError(() => failure)))).rejects.toBe(failure);
    expect(await cats.find()).toBe('old');
    expect(await lastValueFrom(await cats.save(of('done')))).toBe('done');
    expect(await cats.find()).toBe('new');
  });
});
