import { Readable } from 'node:stream';
import { Controller, Get, Header, Redirect, StreamableFile, type Type } from '@nestjs/common';
import { of } from 'rxjs';
import { Cached } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { type Answer, expressOf, type Platform, PLATFORMS, serve } from './serve.js';

class Cat {
  constructor(
    readonly name: string,
    readonly fear: string,
  ) {}
  toJSON(): object {
    return { name: this.name };
  }
}

/** Answered by what its prototype has, which no copy has. */
class Money {
  readonly #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  get cents(): number {
    return this.#cents;
  }
  toJSON(name: string): string {
    return `${name}${this.#cents}`;
  }
}

class Dog {
  readonly born = new Date(0);
  readonly legs = [1, 2, 3, 4];
}

/** What handlers answer, and whether the cache stores it. */
const STORED: Readonly<Record<string, () => unknown>> = {
  'an object': () => ({ b: 1, a: [true, null, { c: 'x' }] }),
  'an array': () => [3, 1, 2],
  'an empty array': () => [],
  'an empty object': () => ({}),
  text: () => 'grüße 🐈 "quoted" \u2028',
  'empty text': () => '',
  'text that looks like JSON': () => '{"a": 1}',
  'a number': () => 42,
  zero: () => 0,
  true: () => true,
  false: () => false,
  null: () => null,
  'a nested date': () => ({ at: new Date(1_700_000_000_000), invalid: [new Date(Number.NaN)] }),
  'undefined inside': () => ({ a: undefined, b: [undefined, 1] }),
  'numbers that JSON lacks': () => ({ a: Number.NaN, b: -0, c: Infinity }),
  'a map and a set': () => ({ map: new Map([['a', 1]]), set: new Set([1]) }),
  'a URL and an expression': () => ({ url: new URL('https://a.test/x?y'), expression: /x/g }),
  'a nested buffer': () => ({ bytes: Buffer.from('hi') }),
  'an object with its own JSON form': () => ({ hidden: 1, toJSON: () => ({ shown: 2 }) }),
  'an instance with a JSON form': () => [new Cat('Tom', 'afraid of mice')],
  'an instance of a class': () => ({ dog: new Dog() }),
  'a date at the top': () => new Date(0),
  'a promise': () => Promise.resolve({ a: 1 }),
  'an observable': () => of({ a: 1 }, { a: 2 }),
  'a lone surrogate': () => ({ text: '\ud83d' }),
  'a function inside': () => ({ a: 1, f: () => 2 }),
  'an object with an own __proto__': () => JSON.parse('{"a": 1, "__proto__": {"admin": true}}') as unknown,
  'an instance whose JSON form depends on where it stands': () => ({ price: new Money(5) }),
};

const NOT_STORED: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  'a file': () => new StreamableFile(Buffer.from('file')),
  'a stream': () => Readable.from(['a', 'b']),
  'a web response': () => new Response('web', { headers: { 'x-a': '1' } }),
  'a cycle': () => {
    const value: Record<string, unknown> = { a: 1 };
    value['self'] = value;
    return value;
  },
  'a big integer': () => ({ a: 1n }),
  'an error': () => new Error('as a value'),
};

function routes(make: () => unknown): Type {
  @Controller()
  class AnswersController {
    @Get('plain')
    plain(): unknown {
      return make();
    }
    @Get('cached')
    @Cached('1m')
    cached(): unknown {
      return make();
    }
  }
  return AnswersController;
}

/** All that a client can tell an answer by, except what is said of the cache, the version and the time. */
function seen({ status, headers, body }: Answer): unknown {
  const { date: _date, 'cache-status': _cache, age: _age, etag: _etag, ...others } = headers;
  return { status, headers: others, body };
}

async function uncachedMissHit(platform: Platform, make: () => unknown): Promise<Answer[]> {
  const server = await serve(platform, { controllers: [routes(make)] });
  return [await server.get('/plain'), await server.get('/cached'), await server.get('/cached')];
}

describe.each(PLATFORMS)('An answer on %s', (platform) => {
  it.each(Object.keys(STORED))('is the same uncached, as a miss and as a hit: %s', async (kind) => {
    const [uncached, miss, hit] = await uncachedMissHit(platform, STORED[kind] as () => unknown);
    expect(miss && seen(miss)).toEqual(uncached && seen(uncached));
    expect(hit && seen(hit)).toEqual(uncached && seen(uncached));
    expect(miss?.cache).toBe('cachekit; fwd=uri-miss; stored');
    expect(hit?.cache).toMatch(/^cachekit; hit; ttl=(?:60|5\d)$/);
  });

  it.each(Object.keys(NOT_STORED))('is untouched and not stored: %s', async (kind) => {
    const [uncached, first, second] = await uncachedMissHit(platform, NOT_STORED[kind] as () => unknown);
    expect(first && seen(first)).toEqual(uncached && seen(uncached));
    expect(second && seen(second)).toEqual(uncached && seen(uncached));
    expect(second?.cache).not.toContain('hit');
  });

  it('redirects for good as a hit does', async () => {
    @Controller()
    class MovedController {
      @Get('old')
      @Cached('1m')
      @Redirect('/new', 301)
      old(): object {
        return { url: '/newer' };
      }
    }
    const server = await serve(platform, { controllers: [MovedController] });
    const [miss, hit] = [await server.get('/old'), await server.get('/old')];
    expect([miss.status, miss.headers.location]).toEqual([301, '/newer']);
    expect([hit.status, hit.headers.location]).toEqual([301, '/newer']);
    expect(hit.cache).toContain('hit');
  });

  it('keeps the static headers of its handler on a hit', async () => {
    @Controller()
    class HeaderController {
      @Get('page')
      @Cached('1m')
      @Header('Content-Type', 'text/html; charset=utf-8')
      @Header('X-Page', 'yes')
      page(): string {
        return '<p>hi</p>';
      }
    }
    const server = await serve(platform, { controllers: [HeaderController] });
    const [miss, hit] = [await server.get('/page'), await server.get('/page')];
    expect(seen(hit)).toEqual(seen(miss));
    expect(hit.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'x-page': 'yes' });
    expect(hit.cache).toContain('hit');
  });

  it('has no body for HEAD, and shares the entry of GET', async () => {
    const server = await serve(platform, { controllers: [routes(() => ({ a: 1 }))] });
    const get = await server.get('/cached');
    const head = await server.send('/cached', {}, { method: 'HEAD' });
    expect([head.status, head.body]).toEqual([200, '']);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect(head.cache).toContain('hit');
  });
});

describe('An answer on Express', () => {
  it('follows the JSON settings of the app on a hit', async () => {
    const server = await serve('Express', {
      controllers: [routes(() => ({ price: 1, note: 'x' }))],
      configure: (app) => {
        const express = expressOf(app);
        express.set('json spaces', 2);
        express.set('json replacer', (name: string, value: unknown) => (name === 'price' ? '1.00' : value));
      },
    });
    await server.get('/cached');
    const hit = await server.get('/cached');
    expect(hit.cache).toContain('hit');
    expect(hit.body).toBe('{\n  "price": "1.00",\n  "note": "x"\n}');
  });
});
