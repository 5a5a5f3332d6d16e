import { Controller, Get, type Type } from '@nestjs/common';
import { Cached, type CachedOptions } from 'nestjs-cachekit';
import { expect } from 'vitest';
import { type Answer, type AppSetup, type Platform, serve, type Server } from './serve.js';

/** A handler that is compared with itself: uncached, as a miss and as a hit. */
export interface Twin {
  /** What it answers or throws. It is given what its decorated parameter is. */
  readonly answer: { call(parameter: unknown): unknown }['call'];
  /** Beside `@Get()` and `@Cached()`. Default: none. */
  readonly decorators?: readonly MethodDecorator[];
  /** What its only parameter is decorated with. Default: it takes none. */
  readonly parameter?: ParameterDecorator;
  readonly cached?: CachedOptions;
}

/** A controller that answers alike at `/plain` and, through the cache, at `/cached`. */
export function twins({ answer, decorators = [], parameter, cached = {} }: Twin): Type {
  @Controller()
  class TwinsController {
    plain(given?: unknown): unknown {
      return answer(given);
    }
    cached(given?: unknown): unknown {
      return answer(given);
    }
  }
  for (const [name, more] of [
    ['plain', []],
    ['cached', [Cached(cached)]],
  ] as const) {
    parameter?.(TwinsController.prototype, name, 0);
    const descriptor = Object.getOwnPropertyDescriptor(TwinsController.prototype, name) as PropertyDescriptor;
    // As decorators of a method do: the lowest first. So the interceptors of the others lie inside the cache.
    for (const decorate of [...more, ...decorators, Get(name)])
      decorate(TwinsController.prototype, name, descriptor);
  }
  return TwinsController;
}

/** How an app differs from one where nothing is set. */
export type Surroundings = Omit<AppSetup, 'controllers'>;

/** An app with both twins. */
export function serveTwins(platform: Platform, twin: Twin, surroundings: Surroundings = {}): Promise<Server> {
  return serve(platform, { ...surroundings, controllers: [twins(twin)] });
}

/** All that a client can tell an answer by, except what is said of the cache, the version and the time. */
export function seen({ status, headers, body }: Answer): unknown {
  const { date: _date, etag: _etag, age: _age, vary: _vary, 'cache-status': _cache, ...others } = headers;
  return { status, headers: others, body };
}

/** Asks both twins, and expects the same answers with every method. Gives back the last one of the cached twin. */
export async function expectAlike(server: Server): Promise<Answer> {
  const plain = await server.get('/plain');
  const [first, second] = [await server.get('/cached'), await server.get('/cached')];
  expect(seen(first)).toEqual(seen(plain));
  expect(seen(second)).toEqual(seen(plain));
  const heads = ['/plain', '/cached'].map((path) => server.send(path, {}, { method: 'HEAD' }));
  const [plainHead, cachedHead] = (await Promise.all(heads)) as [Answer, Answer];
  expect(seen(cachedHead)).toEqual(seen(plainHead));
  return second;
}
