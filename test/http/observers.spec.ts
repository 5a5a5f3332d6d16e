import {
  type CallHandler,
  type ExecutionContext,
  ForbiddenException,
  type INestApplication,
  Injectable,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { type CachekitOptions, CachekitConfigError, CachekitModule } from 'nestjs-cachekit';
import { map, tap } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { PLATFORMS } from './serve.js';
import { serveTwins, type Twin } from './twins.js';

let seen: unknown[] = [];
beforeEach(() => void (seen = []));

@Injectable()
class Logging implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(tap((value: unknown) => seen.push(value)));
  }
}

class Envelope extends Logging {
  override intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

/** Whether JSON was made of it again is seen by how often it is asked for its form. */
class Counted {
  forms = 0;
  toJSON(): object {
    return { form: ++this.forms };
  }
}

const logged = { provide: APP_INTERCEPTOR, useClass: Logging };
const counting = (): Twin => {
  const counted = new Counted();
  return { answer: () => counted };
};

describe.each(PLATFORMS)('On %s', (platform) => {
  it('a hit sends the text of the miss, for which the value was asked once', async () => {
    const server = await serveTwins(platform, counting());
    const bodies = [await server.get('/cached'), await server.get('/cached')].map(({ body }) => body);
    expect(bodies).toEqual(['{"form":1}', '{"form":1}']);
  });

  it('an interceptor outside the cache gets the value, and a text if it is said to watch only', async () => {
    const answer = (): object => ({ a: 1 });
    const setup = { providers: [logged] };
    const strict = await serveTwins(platform, { answer }, setup);
    await strict.get('/cached');
    expect((await strict.get('/cached')).body).toBe('{"a":1}');
    expect(seen).toEqual([{ a: 1 }, { a: 1 }]);

    seen = [];
    const watched = await serveTwins(platform, { answer }, { ...setup, observers: [Logging] });
    await watched.get('/cached');
    expect((await watched.get('/cached')).body).toBe('{"a":1}');
    expect(seen.map(String)).toEqual(['{"a":1}', '{"a":1}']);
  });

  it('instances of classes are cached behind an interceptor that only watches, and not behind another', async () => {
    const cache = async (observers: CachekitOptions['observers']): Promise<string | undefined> => {
      const server = await serveTwins(platform, counting(), {
        providers: [logged],
        observers: observers ?? [],
      });
      await server.get('/cached');
      return (await server.get('/cached')).cache;
    };
    expect(await cache([])).toBe('cachekit; fwd=bypass; detail=response');
    expect(await cache([Logging])).toContain('hit');
  });

  it('an observer may still fail, and the client gets the error', async () => {
    let fails = false;
    class Failing implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(
          tap(() => {
            if (fails) throw new ForbiddenException();
          }),
        );
      }
    }
    const twin: Twin = { answer: () => ({ long: 'x'.repeat(50_000) }) };
    const configure = (app: INestApplication): unknown => app.useGlobalInterceptors(new Failing());
    const server = await serveTwins(platform, twin, { observers: [Failing], configure });
    await server.get('/cached');
    fails = true;
    const { status, body } = await server.get('/cached');
    expect([status, JSON.parse(body)]).toEqual([403, { message: 'Forbidden', statusCode: 403 }]);
  });

  it('a subclass of one that only watches may do more', async () => {
    const twin: Twin = { answer: () => ({ a: 1 }) };
    const server = await serveTwins(platform, twin, {
      observers: [Logging],
      configure: (app) => app.useGlobalInterceptors(new Envelope()),
    });
    await server.get('/cached');
    expect((await server.get('/cached')).body).toBe('{"data":{"a":1}}');
  });

  it('one inside the cache may change what is stored, observers or not', async () => {
    const twin: Twin = { answer: () => ({ a: 1 }), decorators: [UseInterceptors(Envelope)] };
    const server = await serveTwins(platform, twin);
    await server.get('/cached');
    const hit = await server.get('/cached');
    expect([hit.body, hit.cache]).toEqual(['{"data":{"a":1}}', expect.stringContaining('hit')]);
  });

  it.each([
    ['the handler', { body: 'value' }, {}],
    ['the app', {}, { body: 'value' }],
  ] as const)('the value is stored where %s says so', async (_who, cached, options) => {
    const twin: Twin = { answer: () => ({ at: new Date(0) }), cached };
    const server = await serveTwins(platform, twin, {
      ...options,
      observers: [Logging],
      providers: [logged],
    });
    await server.get('/cached');
    const hit = await server.get('/cached');
    expect([hit.body, hit.cache]).toEqual([
      '{"at":"1970-01-01T00:00:00.000Z"}',
      expect.stringContaining('hit'),
    ]);
    expect(seen).toEqual([{ at: new Date(0) }, { at: new Date(0) }]);
  });

  it('the handler has the last word on what is stored', async () => {
    const server = await serveTwins(platform, { ...counting(), cached: { body: 'text' } }, { body: 'value' });
    await server.get('/cached');
    expect((await server.get('/cached')).body).toBe('{"form":1}');
  });
});

describe('Options of the module are checked:', () => {
  it.each([
    [{ observers: Logging }, /observers must be an array of classes/],
    [{ observers: [new Logging()] }, /observers must be an array of classes/],
    [{ body: 'texts' }, /body must be 'text' or 'value', not "texts"/],
  ])('%j is refused', (options, message) => {
    const make = (): unknown => CachekitModule.forRoot(undefined, options as unknown as CachekitOptions);
    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
  });
});
