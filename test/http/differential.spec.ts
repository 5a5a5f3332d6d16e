import {
  BadRequestException,
  Header,
  HttpCode,
  HttpException,
  type INestApplication,
  NotFoundException,
  Redirect,
  Render,
  Res,
} from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Readable } from 'node:stream';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { expressOf, type Platform, PLATFORMS } from './serve.js';
import { expectAlike, serveTwins, type Surroundings, type Twin } from './twins.js';

class Cat {
  readonly #fear = 'mice';
  readonly born = new Date(0);
  constructor(readonly name: string) {}
  get fear(): string {
    return this.#fear;
  }
}

class Money {
  constructor(private readonly cents: number) {}
  toJSON(name: string): string {
    return `${name}:${this.cents}`;
  }
}

/** What handlers do with a response that they share with Nest. */
interface AnyResponse {
  status(code: number): void;
  header(name: string, value: string): unknown;
}

const says = (name: string, value: string): Pick<Twin, 'decorators'> => ({
  decorators: [Header(name, value)],
});
const answering = (answer: Twin['answer']): Twin => ({ answer });
const throwing = (error: Error): Twin => ({
  answer: () => {
    throw error;
  },
});
const speaking = (speak: (response: AnyResponse) => void, value: unknown = { a: 1 }): Twin => ({
  parameter: Res({ passthrough: true }),
  answer: (response: AnyResponse) => {
    speak(response);
    return value;
  },
});

const BIG = Array.from({ length: 600 }, (_, id) => ({
  id,
  name: `Müller & <Söhne> ${id}`,
  at: new Date(id),
}));

/** Whose second answer is a hit. */
const CACHED: Readonly<Record<string, Twin>> = {
  text: answering(() => 'plain'),
  'empty text': answering(() => ''),
  'unicode text': answering(() => 'grüße 🐈 \u2028 "quoted" \\'),
  'a lone surrogate': answering(() => '\ud83d'),
  'text that looks like JSON': answering(() => '{"a": 1}'),
  'text that looks like HTML': answering(() => '<b>&amp;</b>'),
  'text with a line feed first': answering(() => '\nck1 vj 1 2\n{}'),
  'text of a content type': { answer: () => 'a;b', ...says('Content-Type', 'text/csv') },
  'text said to be JSON': { answer: () => '{"a":1}', ...says('Content-Type', 'application/json') },
  zero: answering(() => 0),
  'a number': answering(() => -1.5e300),
  'not a number': answering(() => Number.NaN),
  true: answering(() => true),
  false: answering(() => false),
  null: answering(() => null),
  'a date': answering(() => new Date(0)),
  'an invalid date inside': answering(() => ({ at: [new Date(Number.NaN), new Date(1)] })),
  'a buffer': answering(() => Buffer.from([0, 255, 10, 13])),
  'an empty buffer': answering(() => Buffer.alloc(0)),
  'a buffer inside': answering(() => ({ bytes: Buffer.from('hi') })),
  bytes: answering(() => new Uint8Array([1, 2, 3])),
  'an object': answering(() => ({ b: 1, a: [true, null, { c: 'ü' }] })),
  'an empty object': answering(() => ({})),
  'an object without prototype': answering(() => Object.assign(Object.create(null) as object, { a: 1 })),
  'an array': answering(() => [3, 1, [2]]),
  'an empty array': answering(() => []),
  'a large array': answering(() => BIG),
  'an array with holes': answering(() => Object.assign(Array<unknown>(3), { 1: 1 })),
  'undefined and functions inside': answering(() => ({ a: undefined, f: () => 1, [Symbol('s')]: 1 })),
  'numbers that JSON lacks': answering(() => ({ a: Number.NaN, b: -0, c: Infinity })),
  'a map and a set': answering(() => ({ map: new Map([['a', 1]]), set: new Set([1]) })),
  'markup inside': answering(() => ({ html: '<script>&</script>', separator: '\u2028' })),
  'an own __proto__': answering(() => JSON.parse('{"__proto__": {"admin": true}}') as unknown),
  'an object that names a status': answering(() => ({ statusCode: 404, message: 'as a value' })),
  'an instance with hidden fields': answering(() => new Cat('Tom')),
  'an instance with a JSON form': answering(() => ({ price: new Money(5), list: [new Money(6)] })),
  'an instance whose JSON form is text': answering(() => new Money(7)),
  'an object with a property buffer': answering(() => ({ buffer: 'no bytes', pipe: 1 })),
  'a promise': answering(() => Promise.resolve({ a: 1 })),
  'an observable': answering(() => of(1, { a: 2 })),
  'a static header': { answer: () => ({ a: 1 }), ...says('X-Page', '7') },
  'a JSON type with a charset': {
    answer: () => ({ a: 1 }),
    ...says('Content-Type', 'application/json; charset=utf-8'),
  },
  'a JSON type without': { answer: () => ({ a: 1 }), ...says('Content-Type', 'application/json') },
  'a JSON type of its own': { answer: () => ({ a: 1 }), ...says('Content-Type', 'application/hal+json') },
  'the static status 203': { answer: () => ({ a: 1 }), decorators: [HttpCode(203)] },
  'a redirect for good': { answer: () => ({ url: '/newer' }), decorators: [Redirect('/new', 301)] },
  'a status of its own': speaking((response) => response.status(203)),
  'a link': speaking((response) => response.header('Link', '</next>; rel="next"')),
  'a language': speaking((response) => response.header('Content-Language', 'de')),
  'a time of change': speaking((response) =>
    response.header('Last-Modified', 'Wed, 21 Oct 2015 07:28:00 GMT'),
  ),
  'a place': speaking((response) => response.header('Location', '/there')),
  'a download': speaking((response) => {
    response.header('Content-Type', 'text/csv; charset=latin1');
    response.header('Content-Disposition', 'attachment; filename="a.csv"');
  }, 'a;b'),
  'JSON of a type of its own': speaking((response) => response.header('Content-Type', 'application/ld+json')),
  'what caches may do': speaking((response) => response.header('Cache-Control', 'public, max-age=5')),
  'a version of its own': speaking((response) => response.header('ETag', '"v1"')),
};

/** Whose second answer comes from the handler again. */
const PASSED_ON: Readonly<Record<string, Twin>> = {
  undefined: answering(() => undefined),
  'a big integer inside': answering(() => ({ a: 1n })),
  'a cycle': answering(() => {
    const value: Record<string, unknown> = { a: 1 };
    return Object.assign(value, { self: value });
  }),
  'a stream': answering(() => Readable.from(['a', 'b'])),
  'a web response': answering(() => new Response('web', { headers: { 'x-a': '1' } })),
  'what a promise rejects with': answering(() => Promise.reject(new BadRequestException({ field: 'ü' }))),
  'a missing thing': throwing(new NotFoundException('gone')),
  'an error': throwing(new Error('secret')),
  'an error with a body of its own': throwing(new HttpException('text', 418)),
  'the static status 201': { answer: () => ({ a: 1 }), decorators: [HttpCode(201)] },
  'the static status 204': { answer: () => ({ a: 1 }), decorators: [HttpCode(204)] },
  'the static status 404': { answer: () => ({ a: 1 }), decorators: [HttpCode(404)] },
  'a redirect for now': { answer: () => undefined, decorators: [Redirect('/new')] },
  'a redirect that is named': {
    answer: () => ({ url: '/x', statusCode: 307 }),
    decorators: [Redirect('/new', 301)],
  },
  'a status of its own': speaking((response) => response.status(202)),
  'a cookie': speaking((response) => response.header('Set-Cookie', 'a=1')),
  'a header that nobody named': speaking((response) => response.header('X-Total', '7')),
  'a header and no body': {
    parameter: Res({ passthrough: true }),
    answer: (response: AnyResponse) => response.header('Link', '</a>') && undefined,
  },
};

interface App extends Surroundings {
  readonly platform: Platform;
}

const express = (settings: Readonly<Record<string, unknown>>): App => ({
  platform: 'Express',
  configure: (app) => {
    for (const [name, value] of Object.entries(settings)) expressOf(app).set(name, value);
  },
});

type Fastify = ReturnType<ReturnType<NestFastifyApplication['getHttpAdapter']>['getInstance']>;

const fastify = (configure: (app: Fastify) => unknown): App => ({
  platform: 'Fastify',
  configure: (app: INestApplication) => configure(app.getHttpAdapter().getInstance() as Fastify),
});

const withSchema = (schema: object): App =>
  fastify((app) =>
    app.addHook('onRoute', (route) => {
      route.schema = { response: schema };
    }),
  );

const SCHEMA = { type: 'object', properties: { name: { type: 'string' }, list: { type: 'array' } } };

/** Apps that write JSON in ways of their own. */
const APPS: Readonly<Record<string, App>> = {
  'with a replacer, spaces and escapes': express({
    'json replacer': (name: string, value: unknown) => (name === 'name' ? `<${String(value)}>` : value),
    'json spaces': 2,
    'json escape': true,
  }),
  'with a list of names as replacer': express({ 'json replacer': ['name'] }),
  'with strong versions': express({ etag: 'strong' }),
  'without versions': express({ etag: false }),
  'with versions of its own': express({ etag: (body: Buffer) => `"${body.length}"` }),
  'with a response schema': withSchema({ 200: SCHEMA }),
  'with a response schema for a class of statuses': withSchema({ '2xx': SCHEMA }),
  'with a response schema for a media type': withSchema({
    200: { content: { 'application/json': { schema: SCHEMA } } },
  }),
  'with a response schema that the answer breaks': withSchema({ 200: { ...SCHEMA, required: ['missing'] } }),
  'with a serializer compiler': fastify((app) => {
    app.addHook('onRoute', (route) => {
      route.schema = { response: { 200: SCHEMA } };
    });
    app.setSerializerCompiler(() => (value) => JSON.stringify({ compiled: value }));
  }),
  'with a reply serializer': fastify((app) =>
    app.setReplySerializer((payload) => JSON.stringify({ wrapped: payload })),
  ),
  'with a serializer of each reply': fastify((app) =>
    app.addHook('onRequest', async (_request, reply) => {
      reply.serializer((payload: unknown) => `<${JSON.stringify(payload)}>`);
    }),
  ),
  'with a preSerialization hook': fastify((app) =>
    app.addHook('preSerialization', async (_request, _reply, payload) => ({ hooked: payload })),
  ),
  'with an onSend hook': fastify((app) =>
    app.addHook('onSend', async (_request, reply, payload) => {
      reply.header('X-Length', String((payload as string).length));
      return `${String(payload)} `;
    }),
  ),
};

const ODD: Readonly<Record<string, Twin>> = {
  'an object': answering(() => ({ name: 'Tom & <Jerry>', secret: 1, list: [new Date(0)] })),
  'an instance': answering(() => new Cat('Tom')),
  text: answering(() => 'text & <text>'),
  'a number': answering(() => 42),
  null: answering(() => null),
  'a JSON type without a charset': {
    answer: () => ({ name: 'x' }),
    ...says('Content-Type', 'application/json'),
  },
};

describe.each(PLATFORMS)('On %s, uncached, as a miss and as a hit, the same is answered:', (platform) => {
  it.each(Object.keys(CACHED))('%s', async (kind) => {
    const second = await expectAlike(await serveTwins(platform, CACHED[kind] as Twin));
    expect(second.cache).toMatch(/^cachekit; hit; ttl=/);
  });
});

describe.each(PLATFORMS)('On %s, what is not cached is answered the same:', (platform) => {
  it.each(Object.keys(PASSED_ON))('%s', async (kind) => {
    const second = await expectAlike(await serveTwins(platform, PASSED_ON[kind] as Twin));
    expect(second.cache ?? 'none').not.toContain('hit');
  });
});

describe.each(Object.keys(APPS))('In an app %s, the same is answered as without a cache:', (name) => {
  const { platform, ...surroundings } = APPS[name] as App;

  it.each(Object.keys(ODD))('%s', async (kind) => {
    const server = await serveTwins(platform, ODD[kind] as Twin, surroundings);
    await expectAlike(server);
    if (platform === 'Fastify') return;
    // Express makes the versions of all its answers, so these are the same too.
    const etags = [await server.get('/plain'), await server.get('/cached')].map(
      ({ headers }) => headers.etag,
    );
    expect(etags[1]).toBe(etags[0]);
  });
});

describe('On Express, a template', () => {
  it('is rendered the same from a cached value', async () => {
    const twin: Twin = { answer: () => ({ name: 'Tom' }), decorators: [Render('page')] };
    const server = await serveTwins('Express', twin, {
      configure: (app) => {
        const engine = (_file: string, view: object, done: (error: null, text: string) => void): void =>
          done(null, `<b>${(view as { name: string }).name}</b>`);
        expressOf(app).engine('txt', engine);
        expressOf(app).set('view engine', 'txt');
        expressOf(app).set('views', import.meta.dirname);
      },
    });
    const second = await expectAlike(server);
    expect([second.body, second.cache]).toEqual(['<b>Tom</b>', expect.stringContaining('hit')]);
  });
});
