import { gzipSync } from 'node:zlib';
import { Controller, Get, type INestApplication, Render } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { type Answer, expressOf, type Platform, PLATFORMS, serve, type Server } from './serve.js';

/** Node's response, under Express too. */
interface Response {
  setHeader(name: string, value: string): void;
  removeHeader(name: string): void;
  writeHead(...head: unknown[]): unknown;
  end(chunk?: string | Buffer, encoding?: BufferEncoding): unknown;
  locals: Record<string, unknown>;
}

interface Request {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Middleware = (request: Request, response: Response, next: () => void) => void;

const takesGzip = ({ headers }: Request): boolean => headers['accept-encoding'] === 'gzip';

/** Puts its own `end` in place, as the package `compression` does. */
const compress: Middleware = (request, response, next) => {
  const end = response.end.bind(response);
  response.end = (chunk, encoding) => {
    if (chunk === undefined || chunk.length === 0 || !takesGzip(request)) return end(chunk, encoding);
    response.setHeader('Content-Encoding', 'gzip');
    response.setHeader('Vary', 'Accept-Encoding');
    response.removeHeader('Content-Length');
    return end(gzipSync(chunk));
  };
  next();
};

/** As `@fastify/compress` does, which also waits. */
function compressOnSend(app: INestApplication): void {
  const fastify = (app as NestFastifyApplication).getHttpAdapter().getInstance();
  fastify.addHook('onSend', async (request, reply, payload) => {
    await new Promise(setImmediate);
    if (typeof payload !== 'string' || request.headers['accept-encoding'] !== 'gzip') return payload;
    reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding').removeHeader('content-length');
    return gzipSync(payload);
  });
}

const compressing = (platform: Platform) => (app: INestApplication) =>
  platform === 'Express' ? app.use(compress) : compressOnSend(app);

function encodingOf({ status, body, headers }: Answer): readonly unknown[] {
  return [status, body, headers['content-encoding'], headers['content-length'], headers['content-type']];
}

describe.each(PLATFORMS)('Behind compression on %s, an answer of', (platform) => {
  describe.each([
    ['a few bytes', 10],
    ['many bytes', 50_000],
  ])('%s', (_size, length) => {
    function serveText(): Promise<Server> {
      @Controller()
      class TextController {
        @Get('plain')
        plain(): { text: string } {
          return { text: 'x'.repeat(length) };
        }

        @Get('cached')
        @Cached()
        cached(): { text: string } {
          return { text: 'x'.repeat(length) };
        }
      }
      return serve(platform, { controllers: [TextController], configure: compressing(platform) });
    }

    it.each(['GET', 'HEAD'])(
      'never has the encoding that another requester asked for, to %s',
      async (method) => {
        const server = await serveText();
        for (const encoding of ['gzip', 'identity', 'gzip', 'identity']) {
          const headers = { 'accept-encoding': encoding };
          const plain = await server.send('/plain', headers, { method });
          const cached = await server.send('/cached', headers, { method });
          expect(encodingOf(cached)).toEqual(encodingOf(plain));
        }
      },
    );

    it('has no body and no encoding when the client has it already', async () => {
      const server = await serveText();
      for (const encoding of ['gzip', 'identity', 'gzip']) {
        const { headers } = await server.get('/cached', { 'accept-encoding': encoding });
        const conditions = { 'accept-encoding': encoding, 'if-none-match': String(headers.etag) };
        const again = await server.get('/cached', conditions);
        expect(encodingOf(again).slice(0, 3)).toEqual([304, '', undefined]);
      }
    });
  });
});

describe.each(PLATFORMS)('On %s, a session cookie that is set when the headers are written', (platform) => {
  it('goes to its owner alone, with a miss and with a hit', async () => {
    @Controller()
    class PagesController {
      @Get('page')
      @Cached({ scope: 'public' })
      find(): { page: number } {
        return { page: 1 };
      }
    }
    /** As express-session does. */
    const session: Middleware = (request, response, next) => {
      const writeHead = response.writeHead.bind(response);
      response.writeHead = (...head) => {
        if (request.headers['x-who'] !== undefined)
          response.setHeader('Set-Cookie', `sid=${request.headers['x-who']}`);
        return writeHead(...head);
      };
      next();
    };
    const server = await serve(platform, {
      controllers: [PagesController],
      configure: (app) => app.use(session),
    });
    for (const who of ['alice', 'bob', 'alice']) {
      const { headers, body } = await server.get('/page', { 'x-who': who });
      expect([body, headers['set-cookie']]).toEqual(['{"page":1}', [`sid=${who}`]]);
    }
    const { headers, cache } = await server.get('/page');
    expect([headers['set-cookie'], cache]).toEqual([undefined, expect.stringContaining('hit')]);
  });
});

describe('On Express, a template', () => {
  it('gets the locals of each request, on hits too', async () => {
    @Controller()
    class PagesController {
      @Get('page')
      @Render('page')
      @Cached()
      find(): { name: string } {
        return { name: 'Tom' };
      }
    }
    const locals: Middleware = ({ headers }, response, next) => {
      response.locals['who'] = headers['x-who'];
      next();
    };
    const render = (
      _file: string,
      { name, who }: Record<string, string>,
      done: (...result: unknown[]) => void,
    ): void => done(null, `${name} for ${who}`);
    const server = await serve('Express', {
      controllers: [PagesController],
      configure: (app) => {
        expressOf(app).engine('txt', render);
        expressOf(app).set('view engine', 'txt');
        expressOf(app).set('views', import.meta.dirname);
        app.use(locals);
      },
    });
    for (const who of ['alice', 'bob', 'alice'])
      expect((await server.get('/page', { 'x-who': who })).body).toBe(`Tom for ${who}`);
  });
});
