import { Controller, Get, Injectable, type Type } from '@nestjs/common';
import {
  Cached,
  type CachedOptions,
  CacheEvict,
  CachekitConfigError,
  CachePut,
  type CachePutOptions,
} from 'nestjs-cachekit';
import { Observable, of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { serve } from '../http/serve.js';
import { start } from './start.js';

const putWith = (options: unknown) => (): void => {
  class CatsService {
    @CachePut(options as CachePutOptions)
    async save(): Promise<void> {}
  }
  void CatsService;
};

describe('@CachePut is checked when its class is defined:', () => {
  it.each([
    [undefined, /Give \{ method: 'find' \}/],
    [{}, /Give \{ method/],
    [{ method: 5 }, /Give \{ method/],
    [{ method: 'find', ttl: 5 }, /unknown option "ttl".*The options are method, args/],
    [{ method: 'find', args: [] }, /args must be a function/],
    ['find', /options must be an object/],
  ])('the options %j are refused', (options, message) => {
    expect(putWith(options)).toThrow(CachekitConfigError);
    expect(putWith(options)).toThrow(message);
    expect(putWith(options)).toThrow('@CachePut on CatsService.save: ');
  });

  it('two on one method, and one beside @Cached, are refused', () => {
    const apply = (...decorators: MethodDecorator[]): void => {
      class CatsService {
        save(): void {}
      }
      const descriptor = Object.getOwnPropertyDescriptor(CatsService.prototype, 'save') as PropertyDescriptor;
      for (const decorator of decorators) decorator(CatsService.prototype, 'save', descriptor);
    };
    const put = CachePut({ method: 'find' });
    expect(() => apply(put, put)).toThrow('@CachePut on CatsService.save: there are two');
    expect(() => apply(put, Cached())).toThrow(/split it in two/);
    expect(() => apply(Cached(), put)).toThrow(/split it in two/);
  });
});

function sync(): Type {
  @Injectable()
  class SyncService {
    @Cached()
    sum(): number {
      return 1;
    }
  }
  return SyncService;
}

function observable(): Type {
  @Injectable()
  class ObservableService {
    @Cached()
    sum(): Observable<number> {
      return of(1);
    }
  }
  return ObservableService;
}

function syncEviction(): Type {
  @Injectable()
  class SyncService {
    @CacheEvict({ tags: ['a'] })
    reset(): boolean {
      return true;
    }
  }
  return SyncService;
}

function cachedWith(options: CachedOptions): Type {
  @Injectable()
  class OptionsService {
    @Cached(options)
    async find(): Promise<void> {}
  }
  class InheritingService extends OptionsService {}
  return InheritingService;
}

function cachedClass(): Type {
  @Cached()
  @Injectable()
  class WholeService {
    async find(): Promise<void> {}
  }
  return WholeService;
}

function evictingUnknown(): Type {
  @Injectable()
  class CatsService {
    @CacheEvict({ method: 'find' })
    async save(): Promise<void> {}
  }
  return CatsService;
}

function puttingUnknown(): Type {
  @Injectable()
  class CatsService {
    @CachePut({ method: 'find' })
    async save(): Promise<void> {}
    async find(): Promise<void> {}
  }
  return CatsService;
}

function evictingElsewhere(): Type {
  @Injectable()
  class CatsService {
    @CacheEvict({ tags: ['a'], cache: 'other' })
    async save(): Promise<void> {}
  }
  return CatsService;
}

describe('An app does not start with a provider that has', () => {
  it.each<[string, Type, RegExp]>([
    [
      'a cached method that answers at once',
      sync(),
      /@Cached on SyncService\.sum: it returns a Number.*async/,
    ],
    ['a cached method that answers an Observable', observable(), /it returns a Observable/],
    ['an evicting method that answers at once', syncEviction(), /it returns a Boolean.*async/],
    ['a cache that the app lacks', cachedWith({ cache: 'other' }), /no cache named "other"/],
    ['an eviction in such a cache', evictingElsewhere(), /no cache named "other"/],
    ['a private scope', cachedWith({ scope: 'private' }), /scope: 'private' is about HTTP requests/],
    ['a vary', cachedWith({ vary: ['accept-language'] }), /vary is about HTTP requests.*among its arguments/],
    ['a query', cachedWith({ query: ['page'] }), /query is about HTTP requests/],
    ['@Cached on its class', cachedClass(), /@Cached on WholeService: on a class it works for controllers/],
    ['an eviction of a method that is not there', evictingUnknown(), /CatsService has no method find with/],
    ['a put to a method that is not cached', puttingUnknown(), /CatsService has no method find with @Cached/],
  ])('%s', async (_what, provider, message) => {
    const starting = start({ providers: [provider] });
    await expect(starting).rejects.toThrow(CachekitConfigError);
    await expect(starting).rejects.toThrow(message);
  });

  it('a put on the handler of a route', async () => {
    @Controller()
    class PutController {
      @Get()
      @CachePut({ method: 'find' })
      async save(): Promise<void> {}
      @Cached()
      async find(): Promise<void> {}
    }
    const starting = serve('Express', { controllers: [PutController] });
    await expect(starting).rejects.toThrow(/@CachePut on PutController\.save: .*no effect on the handler/);
  });
});
