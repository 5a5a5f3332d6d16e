import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Module,
  Res,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached, CachekitModule, InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PLATFORMS, serve, Server } from './serve.js';

type Write = (this: unknown, body: unknown) => unknown;

/** What the response of each platform writes objects with. */
const WRITER = { Express: 'json', Fastify: 'send' } as const;

const masked = (body: unknown): unknown =>
  typeof body === 'object' && body !== null ? { ...body, password: undefined } : body;

/** Puts a writer in place that leaves passwords out of objects. */
function maskBodies(response: object, name: 'json' | 'send'): void {
  const write = Reflect.get(response, name) as Write;
  const mask: Write = function mask(body) {
    return write.call(this, masked(body));
  };
  Reflect.set(response, name, mask);
}

@Controller()
class UserController {
  @Get('user')
  @Cached()
  find(): object {
    return { name: 'Tom', password: 'secret' };
  }
}

async function expectNoPassword(server: Server): Promise<void> {
  for (let times = 0; times < 3; times++) expect((await server.get('/user')).body).toBe('{"name":"Tom"}');
}

describe('A password that something outside the cache leaves out of objects is in no answer', () => {
  it('on Fastify, when a hook has put reply.send in place', async () => {
    const configure = (app: INestApplication): void => {
      const fastify = (app as NestFastifyApplication).getHttpAdapter().getInstance();
      fastify.addHook('onRequest', (_request, reply, done) => {
        maskBodies(reply, 'send');
        done();
      });
    };
    await expectNoPassword(await serve('Fastify', { controllers: [UserController], configure }));
  });

  it('on Express, when middleware has put res.json in place', async () => {
    const configure = (app: INestApplication): unknown =>
      app.use((_request: unknown, response: object, next: () => void) => {
        maskBodies(response, 'json');
        next();
      });
    await expectNoPassword(await serve('Express', { controllers: [UserController], configure }));
  });

  it('on Express, when the res.json of middleware reads the same settings as that of Express', async () => {
    interface Response {
      readonly app: { get(setting: string): (name: string, value: unknown) => unknown };
      json(body: unknown): unknown;
      type(type: string): { send(text: string): unknown };
    }
    const configure = (app: INestApplication): unknown =>
      app.use((_request: unknown, response: Response, next: () => void) => {
        response.json = (body) =>
          response.type('json').send(JSON.stringify(masked(body), response.app.get('json replacer')));
        next();
      });
    await expectNoPassword(await serve('Express', { controllers: [UserController], configure }));
  });

  it('on Express, when express.response is patched for all apps', async () => {
    const configure = (app: INestApplication): void => {
      const { response } = app.getHttpAdapter().getInstance() as { response: object };
      // What `express.response` is: all apps have it for a prototype.
      const shared = Object.getPrototypeOf(response) as { json: Write };
      const { json } = shared;
      maskBodies(shared, 'json');
      onTestFinished(() => {
        shared.json = json;
      });
    };
    await expectNoPassword(await serve('Express', { controllers: [UserController], configure }));
  });

  it.each(PLATFORMS)('on %s, when the adapter has a reply of its own', async (platform) => {
    class MaskingExpress extends ExpressAdapter {
      override reply(response: unknown, body: unknown, status?: number): unknown {
        return super.reply(response, masked(body), status);
      }
    }
    class MaskingFastify extends FastifyAdapter {
      override reply(
        ...[response, body, status]: Parameters<FastifyAdapter['reply']>
      ): ReturnType<FastifyAdapter['reply']> {
        return super.reply(response, masked(body), status);
      }
    }
    const adapter = platform === 'Express' ? new MaskingExpress() : new MaskingFastify();
    class AppModule {}
    const imports = [CachekitModule.forRoot(new InMemoryBackend())];
    Module({ imports, controllers: [UserController] })(AppModule);
    const app = await NestFactory.create(AppModule, adapter, { logger: false });
    onTestFinished(() => app.close());
    await app.listen(0, '127.0.0.1');
    await expectNoPassword(new Server(app, []));
  });
});

/**
 * A controller whose cached handler is given the response. A process says each warning once, so it needs a name that no
 * other test uses.
 */
function controllerNamed<Response>(
  name: string,
  find: (response: Response) => object,
  ...decorators: readonly MethodDecorator[]
): Type {
  class NamedController {
    find(response: Response): object {
      return find(response);
    }
  }
  Object.defineProperty(NamedController, 'name', { value: name });
  const { prototype } = NamedController;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, 'find') as PropertyDescriptor;
  for (const decorate of [Cached(), ...decorators, Get('user')]) decorate(prototype, 'find', descriptor);
  Res({ passthrough: true })(prototype, 'find', 0);
  Controller()(NamedController);
  return NamedController;
}

function expectOneWarning({ warnings }: Server, name: string): void {
  expect(warnings).toEqual([
    expect.stringMatching(`${name}\\.find: not cached, since .*changes how its response writes a body`),
  ]);
}

describe.each(PLATFORMS)('On %s, no answer has the password, and an author is warned,', (platform) => {
  const maskBodiesOf = (response: object): void => maskBodies(response, WRITER[platform]);

  it('when the handler itself puts in place what leaves it out', async () => {
    const name = `${platform}MaskingController`;
    const controller = controllerNamed(name, (response: object) => {
      maskBodiesOf(response);
      return { name: 'Tom', password: 'secret' };
    });
    const server = await serve(platform, { controllers: [controller] });
    await expectNoPassword(server);
    expectOneWarning(server, name);
  });

  it('when an interceptor inside the cache puts in place what leaves it out', async () => {
    const masking = {
      intercept: (context: ExecutionContext, next: CallHandler) => {
        maskBodiesOf(context.switchToHttp().getResponse());
        return next.handle();
      },
    };
    const name = `${platform}MaskedController`;
    const user = { name: 'Tom', password: 'secret' };
    const controller = controllerNamed(name, () => user, UseInterceptors(masking));
    const server = await serve(platform, { controllers: [controller] });
    await expectNoPassword(server);
    expectOneWarning(server, name);
  });
});

interface Reply {
  type(type: string): Reply;
  serializer(serialize: (value: { readonly a: number }) => string): Reply;
}

describe('On Fastify, an answer whose handler calls reply.serializer()', () => {
  it.each<[string, (reply: Reply) => unknown, string]>([
    ['Text', (reply) => reply.serializer((value) => `<${JSON.stringify(value)}>`), '<{"a":1}>'],
    ['Xml', (reply) => reply.type('application/xml').serializer(({ a }) => `<a>${a}</a>`), '<a>1</a>'],
  ])('is the same each time, and its author is warned: %s', async (kind, speak, body) => {
    const name = `${kind}SerializerController`;
    const controller = controllerNamed(name, (reply: Reply) => {
      speak(reply);
      return { a: 1 };
    });
    const server = await serve('Fastify', { controllers: [controller] });
    for (let times = 0; times < 3; times++)
      expect(await server.get('/user')).toMatchObject({ status: 200, body });
    expectOneWarning(server, name);
  });
});

describe('On Express, what middleware writes into the bytes of one answer', () => {
  it('is in no other answer', async () => {
    @Controller()
    class TextController {
      @Get('text')
      @Cached()
      find(): object {
        return { text: 'x'.repeat(50_000) };
      }
    }
    interface Response {
      end: (this: Response, chunk: unknown, ...more: unknown[]) => unknown;
    }
    const countUp = (_request: unknown, response: Response, next: () => void): void => {
      const { end } = response;
      response.end = function (chunk, ...more) {
        if (Buffer.isBuffer(chunk)) chunk[10] = Number(chunk[10]) + 1;
        return end.call(this, chunk, ...more);
      };
      next();
    };
    const server = await serve('Express', {
      controllers: [TextController],
      configure: (app) => app.use(countUp),
    });
    for (let times = 0; times < 3; times++) expect((await server.get('/text')).body[10]).toBe('y');
  });
});
