import { Controller, Get, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached, CachekitModule, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { expressOf, type Platform, PLATFORMS, serve, Server } from './serve.js';

type Parser = (text: string) => unknown;

class Hidden {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }
}

/** Parsers of an app's own, of which each keeps the text in a place of its own. */
const PARSERS: Readonly<Record<string, Parser>> = {
  'a text': (text) => text,
  'a list': (text) => [text],
  'a Map': (text) => new Map([['text', text]]),
  'URL parameters': (text) => new URLSearchParams(text),
  'a private field': (text) => new Hidden(text),
  'a proxy': (text) => new Proxy({}, { get: () => text }),
  'a function': (text) => Object.assign(() => undefined, { text }),
  'a symbol': (text) => ({ [Symbol.for('text')]: text }),
  'a hidden property': (text) => Object.defineProperty({}, 'text', { value: text }),
  'a prototype': (text) => Object.create({ text }) as unknown,
  'a prototype without a prototype': (text) =>
    Object.create(Object.assign(Object.create(null) as object, { text })) as unknown,
  'a prototype of a prototype': (text) => Object.create(Object.create({ text }) as object) as unknown,
  'a prototype that looks like that of objects': (text) =>
    Object.create(Object.assign(Object.create(null) as object, { text, isPrototypeOf: true })) as unknown,
  'an own __proto__': (text) => JSON.parse(`{"__proto__":{"text":"${text}"}}`) as unknown,
  'what an array with holes is said to be': (text) => ({ list: Object.assign(Array<number>(1), { text }) }),
  'what a date is said to be': (text) => ({ date: Object.assign(new Date(0), { text }) }),
  'a text object': (text) => ({ text: Object(text) as unknown }),
  'a number object': (text) => ({ length: Object(text.length) as unknown }),
  'a number that JSON lacks': (text) => ({ value: text === 'bob' ? null : Number.NaN }),
  'a negative zero': (text) => ({ value: text === 'bob' ? -0 : 0 }),
  'a name without a value': (text) => ({ [text]: undefined }),
  'a bigint': (text) => ({ length: BigInt(text.length) }),
  'half a character': (text) => ({ half: text === 'bob' ? '\ud800' : '\ud801' }),
  'a cycle': (text) => {
    const query: { text: string; self?: unknown } = { text };
    query.self = query;
    return query;
  },
  'a great depth': (text) => JSON.parse(`${'['.repeat(5_000)}"${text}"${']'.repeat(5_000)}`) as unknown,
  'a great length': (text) => ({ list: Array.from({ length: 10_000 }, (_, index) => [index, text]) }),
};

async function serveParsed(platform: Platform, controller: Type, parser: Parser): Promise<Server> {
  if (platform === 'Express') {
    return serve(platform, {
      controllers: [controller],
      configure: (app) => expressOf(app).set('query parser', parser),
    });
  }
  class AppModule {}
  Module({ imports: [CachekitModule.forRoot(new InMemoryBackend())], controllers: [controller] })(AppModule);
  const adapter = new FastifyAdapter({
    routerOptions: { querystringParser: parser as (text: string) => Record<string, unknown> },
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, adapter, { logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  return new Server(app, []);
}

describe.each(PLATFORMS)(
  'On %s with a query parser of its own, two queries never share an answer',
  (platform) => {
    it.each(Object.keys(PARSERS))('when it keeps what they say in %s', async (kind) => {
      let runs = 0;
      @Controller()
      class RunsController {
        @Get('runs')
        @Cached()
        find(): number {
          return ++runs;
        }
      }
      const server = await serveParsed(platform, RunsController, PARSERS[kind] as Parser);
      const answers = [await server.get('/runs?alice'), await server.get('/runs?bob')];
      expect(answers.map(({ status, body }) => [status, body])).toEqual([
        [200, '1'],
        [200, '2'],
      ]);
    });
  },
);
