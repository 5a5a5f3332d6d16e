import { Injectable, Module, NotFoundException } from '@nestjs/common';
import { Cached, CachekitModule, CacheService, type CacheEvent, InMemoryBackend } from 'nestjs-cachekit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Gate } from '../http/gate.js';
import { provide, start } from './start.js';

interface Rate {
  code: string;
  run: number;
}

@Injectable()
class RatesService {
  runs = 0;
  readonly gate = new Gate();

  @Cached({ ttl: '1m', tags: ({ args: [code] }) => [`rate:${String(code)}`] })
  async find(code: string): Promise<Rate> {
    return { code, run: ++this.runs };
  }
  async both(): Promise<Rate[]> {
    return [await this.find('EUR'), await this.find('EUR')];
  }
  @Cached()
  async slow(): Promise<number> {
    await this.gate.opened;
    return ++this.runs;
  }
  @Cached()
  async failing(): Promise<number> {
    if (++this.runs === 1) throw new Error('no rates today');
    return this.runs;
  }
  @Cached({ unless: (value) => value === null })
  async maybe(): Promise<number | null> {
    return ++this.runs === 1 ? null : this.runs;
  }
  @Cached({ when: ({ args }) => args[0] !== 'live' })
  async latest(_how: string): Promise<number> {
    return ++this.runs;
  }
  @Cached({ key: ({ args }) => (args[0] as Rate).code })
  async byRate(_rate: Rate): Promise<number> {
    return ++this.runs;
  }
  @Cached({ ttl: (value: unknown) => ((value as number) === 1 ? 0 : '1m') })
  async weekend(): Promise<number> {
    return ++this.runs;
  }
  @Cached(0)
  async never(): Promise<number> {
    return ++this.runs;
  }
  @Cached({ ttl: '1m', staleIfError: '1h' })
  async fragile(): Promise<number> {
    if (++this.runs > 1) throw new Error('away');
    return this.runs;
  }
  @Cached({ ttl: '1m', staleIfError: '1h' })
  async gone(): Promise<number> {
    if (++this.runs > 1) throw new NotFoundException();
    return this.runs;
  }
  @Cached({ ttl: '1m', staleWhileRevalidate: '1h' })
  async refreshed(): Promise<number> {
    return ++this.runs;
  }
  @Cached()
  async nothing(): Promise<undefined> {
    this.runs++;
  }
}

/** Only the clocks stand still: timers go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

describe('A provider method with @Cached', () => {
  it('runs once for the same arguments, and gives everybody a copy', async () => {
    const rates = await provide(RatesService);
    const first = await rates.find('EUR');
    first.code = 'changed by its caller';
    expect(await rates.find('EUR')).toEqual({ code: 'EUR', run: 1 });
    expect(await rates.find('USD')).toEqual({ code: 'USD', run: 2 });
  });

  it('is cached when the class itself calls it', async () => {
    const rates = await provide(RatesService);
    expect(await rates.both()).toEqual([
      { code: 'EUR', run: 1 },
      { code: 'EUR', run: 1 },
    ]);
  });

  it('runs once for all that call it at the same time', async () => {
    const rates = await provide(RatesService);
    const calls = [rates.slow(), rates.slow(), rates.slow()];
    rates.gate.open();
    expect(await Promise.all(calls)).toEqual([1, 1, 1]);
  });

  it('rejects with what it throws, stores nothing then, and runs again', async () => {
    const rates = await provide(RatesService);
    await expect(rates.failing()).rejects.toThrow('no rates today');
    expect(await rates.failing()).toBe(2);
    expect(await rates.failing()).toBe(2);
  });

  it('is made anew when one of its tags is invalidated', async () => {
    const app = await start({ providers: [RatesService] });
    const rates = app.get(RatesService);
    await rates.find('EUR');
    await rates.find('USD');
    await app.get(CacheService).invalidateTags('rate:EUR');
    expect(await rates.find('USD')).toMatchObject({ run: 2 });
    expect(await rates.find('EUR')).toMatchObject({ run: 3 });
  });

  it('is not stored where unless says so', async () => {
    const rates = await provide(RatesService);
    expect([await rates.maybe(), await rates.maybe(), await rates.maybe()]).toEqual([null, 2, 2]);
  });

  it('goes past the cache where when says so', async () => {
    const rates = await provide(RatesService);
    expect([await rates.latest('live'), await rates.latest('live')]).toEqual([1, 2]);
    expect([await rates.latest('cached'), await rates.latest('cached')]).toEqual([3, 3]);
  });

  it('is known by its own key, if it has one', async () => {
    const rates = await provide(RatesService);
    expect(await rates.byRate({ code: 'EUR', run: 1 })).toBe(1);
    expect(await rates.byRate({ code: 'EUR', run: 2 })).toBe(1);
    expect(await rates.byRate({ code: 'USD', run: 1 })).toBe(2);
  });

  it('may tell its ttl by what it answers', async () => {
    const rates = await provide(RatesService);
    expect([await rates.weekend(), await rates.weekend(), await rates.weekend()]).toEqual([1, 2, 2]);
  });

  it('is not cached with a ttl of 0', async () => {
    const rates = await provide(RatesService);
    expect([await rates.never(), await rates.never()]).toEqual([1, 2]);
  });

  it('answers stale in place of an error, within staleIfError', async () => {
    const rates = await provide(RatesService);
    await rates.fragile();
    vi.advanceTimersByTime(120_000);
    expect(await rates.fragile()).toBe(1);
    expect(rates.runs).toBe(2);
  });

  it('does not answer stale in place of an HttpException below 500, which is an answer', async () => {
    const rates = await provide(RatesService);
    await rates.gone();
    vi.advanceTimersByTime(120_000);
    await expect(rates.gone()).rejects.toThrow(NotFoundException);
  });

  it('answers stale at once, and runs in the background, within staleWhileRevalidate', async () => {
    const rates = await provide(RatesService);
    await rates.refreshed();
    vi.advanceTimersByTime(120_000);
    expect(await rates.refreshed()).toBe(1);
    await expect.poll(() => rates.runs).toBe(2);
  });

  it('runs each time that it answers undefined', async () => {
    const rates = await provide(RatesService);
    expect([await rates.nothing(), await rates.nothing()]).toEqual([undefined, undefined]);
    expect(rates.runs).toBe(2);
  });

  it('keeps its name and its length', () => {
    expect([RatesService.prototype.find.name, RatesService.prototype.find.length]).toEqual(['find', 1]);
  });

  it('is cached in the cache that it names', async () => {
    @Injectable()
    class NamedRates {
      runs = 0;
      @Cached({ cache: 'rates' })
      async find(): Promise<number> {
        return ++this.runs;
      }
    }
    const events: CacheEvent[] = [];
    const named = CachekitModule.forRoot(undefined, {
      name: 'rates',
      onEvent: (event) => events.push(event),
    });
    const app = await start({ providers: [NamedRates], caches: [CachekitModule.forRoot(), named] });
    await app.get(NamedRates).find();
    expect(await app.get(NamedRates).find()).toBe(1);
    expect(events.map(({ type }) => type)).toContain('hit');
  });

  it('tells events by its class and name, never by its arguments', async () => {
    const keys: unknown[] = [];
    const onEvent = (event: CacheEvent): void => void ('key' in event && keys.push(event.key));
    const caches = [CachekitModule.forRoot(new InMemoryBackend(), { onEvent })];
    const app = await start({ providers: [RatesService], caches });
    await app.get(RatesService).find('a secret');
    expect(new Set(keys)).toEqual(new Set(['["RatesService","find"]']));
  });

  it('is cached from the first call on, in the constructor of whom it is injected into', async () => {
    @Injectable()
    class Early {
      readonly first: Promise<Rate>;
      constructor(readonly rates: RatesService) {
        this.first = rates.find('EUR');
      }
    }
    Reflect.defineMetadata('design:paramtypes', [RatesService], Early);
    const app = await start({ providers: [Early, RatesService] });
    await app.get(Early).first;
    expect((await app.get(RatesService).find('EUR')).code).toBe('EUR');
    expect(await app.get(RatesService).find('EUR')).toEqual(await app.get(RatesService).find('EUR'));
  });

  it('may belong to the service that the backend is made with', async () => {
    @Injectable()
    class Settings {
      runs = 0;
      @Cached()
      async url(): Promise<number> {
        return ++this.runs;
      }
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    const cache = CachekitModule.forRootAsync({
      imports: [SettingsModule],
      inject: [Settings],
      useFactory: async (settings: Settings) => {
        await settings.url();
        return new InMemoryBackend();
      },
    });
    const app = await start({ providers: [], caches: [cache] });
    const settings = app.get(Settings);
    expect([await settings.url(), await settings.url()]).toEqual([2, 2]);
  });
});

describe('Without a cache a method with @Cached is the plain one:', () => {
  class Sums {
    @Cached()
    add(a: number, b: number): Promise<number> | number {
      return a + b;
    }
  }

  it('on an instance made by hand', () => {
    expect(new Sums().add(1, 2)).toBe(3);
  });

  it('in an app without CachekitModule', async () => {
    const warnings: string[] = [];
    const app = await start({ providers: [Sums], caches: [] }, warnings);
    expect(app.get(Sums).add(1, 2)).toBe(3);
    expect(warnings).toEqual([]);
  });
});
