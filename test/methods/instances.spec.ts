import { Controller, Get, Injectable, Module, Scope } from '@nestjs/common';
import { ContextIdFactory, ModuleRef } from '@nestjs/core';
import { Cached, CachekitModule, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { serve } from '../http/serve.js';
import { provide, start } from './start.js';

// A process says each warning once, so every class that is warned of has a name that no other test uses.

@Injectable()
class Numbers {
  runs = 0;
  @Cached()
  async next(): Promise<number> {
    return ++this.runs;
  }
}

describe('A method with @Cached', () => {
  it('keeps two apps in one process apart', async () => {
    const one = await provide(Numbers);
    const other = await provide(Numbers);
    expect([await one.next(), await one.next()]).toEqual([1, 1]);
    other.runs = 10;
    expect([await other.next(), await other.next(), await one.next()]).toEqual([11, 11, 1]);
  });

  it('goes on in one app when another one of the same class is closed', async () => {
    const one = await start({ providers: [Numbers] });
    const other = await provide(Numbers);
    await one.get(Numbers).next();
    await one.close();
    expect([await other.next(), await other.next()]).toEqual([1, 1]);
  });

  it('is shared by two apps with the same store', async () => {
    const backend = new InMemoryBackend();
    const caches = [CachekitModule.forRoot(backend)];
    const one = await start({ providers: [Numbers], caches });
    const other = await start({ providers: [Numbers], caches });
    await one.get(Numbers).next();
    other.get(Numbers).runs = 10;
    expect(await other.get(Numbers).next()).toBe(1);
  });

  it('is cached for each class that inherits it by itself', async () => {
    @Injectable()
    class EvenNumbers extends Numbers {
      override runs = 100;
    }
    @Injectable()
    class OddNumbers extends Numbers {
      override runs = 200;
    }
    const app = await start({ providers: [Numbers, EvenNumbers, OddNumbers] });
    const all = [app.get(Numbers), app.get(EvenNumbers), app.get(OddNumbers)];
    for (const numbers of all) await numbers.next();
    expect(await Promise.all(all.map((numbers) => numbers.next()))).toEqual([1, 101, 201]);
  });

  it('is cached below one that overrides it, and apart from it', async () => {
    @Injectable()
    class DoubledNumbers extends Numbers {
      doubled = 0;
      @Cached()
      override async next(): Promise<number> {
        this.doubled++;
        return 2 * (await super.next());
      }
      async plain(): Promise<number> {
        return super.next();
      }
    }
    const numbers = await provide(DoubledNumbers);
    expect([await numbers.next(), await numbers.next(), await numbers.plain()]).toEqual([2, 2, 1]);
    expect([numbers.doubled, numbers.runs]).toEqual([1, 1]);
  });

  it('is not cached where it is overridden by a plain one', async () => {
    @Injectable()
    class PlainNumbers extends Numbers {
      override async next(): Promise<number> {
        return ++this.runs;
      }
    }
    const numbers = await provide(PlainNumbers);
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
  });

  it('works below and above other decorators that wrap the method', async () => {
    const log: string[] = [];
    const Logged = (what: string): MethodDecorator => {
      return (_target, _name, descriptor: PropertyDescriptor) => {
        const method = descriptor.value as (...args: unknown[]) => unknown;
        descriptor.value = function (this: unknown, ...args: unknown[]): unknown {
          log.push(what);
          return method.apply(this, args);
        };
      };
    };
    @Injectable()
    class LoggedNumbers {
      @Logged('outside') @Cached() @Logged('inside') async next(): Promise<number> {
        return 1;
      }
    }
    const numbers = await provide(LoggedNumbers);
    await numbers.next();
    await numbers.next();
    expect(log).toEqual(['outside', 'inside', 'outside']);
  });

  it('works on a controller, where it is no handler', async () => {
    @Controller()
    class HelpedController {
      runs = 0;
      @Get()
      async find(): Promise<unknown> {
        return { helped: [await this.help(), await this.help()] };
      }
      @Cached()
      async help(): Promise<number> {
        return ++this.runs;
      }
    }
    const server = await serve('Express', { controllers: [HelpedController] });
    expect((await server.get('/')).body).toBe('{"helped":[1,1]}');
  });

  it('leaves nothing of Nest on the instance for those who print or compare it', async () => {
    expect(Object.keys(await provide(Numbers))).toEqual(['runs']);
    expect(await provide(Numbers)).toEqual(new Numbers());
  });
});

describe('What the key can not see of an instance is not shared:', () => {
  it('a request-scoped provider is not cached, with a warning', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class RequestNumbers extends Numbers {}
    const warnings: string[] = [];
    const app = await start({ providers: [RequestNumbers] }, warnings);
    const numbers = await app.resolve(RequestNumbers, ContextIdFactory.create());
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
    expect(warnings).toEqual([expect.stringMatching(/made anew for each request.*key, or scope: 'public'/)]);
  });

  it('nor is one that depends on a request-scoped one', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Requested {}
    @Injectable()
    class DependentNumbers extends Numbers {
      constructor(readonly requested: Requested) {
        super();
      }
    }
    Reflect.defineMetadata('design:paramtypes', [Requested], DependentNumbers);
    const app = await start({ providers: [DependentNumbers, Requested] });
    const numbers = await app.resolve(DependentNumbers, ContextIdFactory.create());
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
  });

  it('nor is a transient one', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class TransientNumbers extends Numbers {}
    const warnings: string[] = [];
    const app = await start({ providers: [TransientNumbers] }, warnings);
    const numbers = await app.resolve(TransientNumbers);
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
    expect(warnings).toEqual([expect.stringMatching(/TransientNumbers is transient/)]);
  });

  it('nor is one of several of a class', async () => {
    @Injectable()
    class RepeatedNumbers extends Numbers {}
    const warnings: string[] = [];
    const providers = ['EU', 'US'].map((provide) => ({ provide, useClass: RepeatedNumbers }));
    const app = await start({ providers }, warnings);
    const numbers = app.get<Numbers>('EU');
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
    expect(warnings).toEqual([expect.stringMatching(/RepeatedNumbers is provided 2 times/)]);
  });

  it('nor is one that was made on demand', async () => {
    @Injectable()
    class CreatedNumbers extends Numbers {}
    const app = await start({ providers: [] });
    const numbers = await app.get(ModuleRef).create(CreatedNumbers);
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
  });

  it('nor are those of two classes with one name', async () => {
    const make = (): typeof Numbers => {
      @Injectable()
      class TwinNumbers {
        runs = 0;
        @Cached()
        async next(): Promise<number> {
          return ++this.runs;
        }
      }
      return TwinNumbers;
    };
    const [One, Other] = [make(), make()];
    const warnings: string[] = [];
    const app = await start({ providers: [One, Other] }, warnings);
    expect([await app.get(One).next(), await app.get(One).next()]).toEqual([1, 2]);
    expect(await app.get(Other).next()).toBe(1);
    expect(warnings).toEqual([expect.stringMatching(/another class is called TwinNumbers too.*Rename/)]);
  });

  it('nor is one that a factory made, which Nest tells nothing', async () => {
    @Injectable()
    class FactoryNumbers extends Numbers {}
    const warnings: string[] = [];
    const provider = { provide: FactoryNumbers, useFactory: () => new FactoryNumbers() };
    const app = await start({ providers: [provider] }, warnings);
    const numbers = app.get(FactoryNumbers);
    expect([await numbers.next(), await numbers.next()]).toEqual([1, 2]);
    expect(warnings).toEqual([
      expect.stringMatching(/FactoryNumbers: its @Cached.*useClass: FactoryNumbers/),
    ]);
  });

  it.each([
    ['a key', { key: ({ args }: { args: readonly unknown[] }) => String(args[0]) }],
    ['the scope public', { scope: 'public' as const }],
  ])('unless its author says what counts by %s', async (_what, options) => {
    let runs = 0;
    @Injectable({ scope: Scope.REQUEST })
    class DeclaredNumbers {
      @Cached(options)
      async next(of: string): Promise<string> {
        return `${of} ${++runs}`;
      }
    }
    const app = await start({ providers: [DeclaredNumbers] });
    const next = async (of: string): Promise<string> =>
      (await app.resolve(DeclaredNumbers, ContextIdFactory.create())).next(of);
    expect([await next('a'), await next('a'), await next('b')]).toEqual(['a 1', 'a 1', 'b 2']);
  });
});

describe('What the cache would answer otherwise than the method is not stored:', () => {
  class User {
    constructor(readonly name: string) {}
    greet(): string {
      return `I am ${this.name}`;
    }
  }

  it('instances of classes, with a warning', async () => {
    @Injectable()
    class Users {
      @Cached()
      async find(): Promise<User> {
        return new User('Tom');
      }
    }
    const warnings: string[] = [];
    const users = await provide(Users, warnings);
    expect((await users.find()).greet()).toBe('I am Tom');
    expect(await users.find()).toBeInstanceOf(User);
    expect(warnings).toEqual([expect.stringMatching(/Users\.find: not cached.*Return plain objects/)]);
  });

  it('while Dates, Maps and bigints are', async () => {
    const answer = { at: new Date(0), rates: new Map([['EUR', 1n]]), none: undefined };
    @Injectable()
    class Data {
      runs = 0;
      @Cached()
      async find(): Promise<unknown> {
        this.runs++;
        return answer;
      }
    }
    const data = await provide(Data);
    expect(await data.find()).toStrictEqual(answer);
    expect(await data.find()).toStrictEqual(answer);
    expect(data.runs).toBe(1);
  });
});

describe('A provider in a module of its own', () => {
  it('is one singleton, however many modules import it', async () => {
    @Module({ providers: [Numbers], exports: [Numbers] })
    class NumbersModule {}
    @Module({ imports: [NumbersModule] })
    class ShopModule {}
    const app = await start({ providers: [], modules: [NumbersModule, ShopModule] });
    expect([await app.get(Numbers).next(), await app.get(Numbers).next()]).toEqual([1, 1]);
  });
});
