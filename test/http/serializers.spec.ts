import {
  type CallHandler,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Injectable,
  type NestInterceptor,
  type Provider,
  Render,
  Scope,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Exclude, Expose } from 'class-transformer';
import { map, type Observable } from 'rxjs';
import { Cached } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { expressOf, PLATFORMS, serve, type Server } from './serve.js';

class User {
  readonly name = 'alice';
  @Exclude()
  readonly password = 'hunter2';
  @Expose()
  get greeting(): string {
    return `hello ${this.name}`;
  }
}

class OwnSerializer extends ClassSerializerInterceptor {}

@Injectable({ scope: Scope.REQUEST })
class RequestSerializer extends ClassSerializerInterceptor {}

/** Counts the requests it sees, and changes nothing. */
@Injectable()
class Logging implements NestInterceptor {
  static seen = 0;
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    Logging.seen++;
    return next.handle();
  }
}

/** Puts every answer in an envelope. */
@Injectable()
class Envelope implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

/** The interceptors on the class, and those on the handler: outside and inside the one that `@Cached` brings. */
interface Places {
  readonly onClass?: readonly (Type<NestInterceptor> | NestInterceptor)[];
  readonly outer?: readonly (Type<NestInterceptor> | NestInterceptor)[];
  readonly inner?: readonly (Type<NestInterceptor> | NestInterceptor)[];
}

/** A controller with a cached handler, and the same handler uncached. */
function users({ onClass = [], outer = [], inner = [] }: Places = {}): Type {
  @Controller()
  @UseInterceptors(...onClass)
  class UsersController {
    @Get('plain')
    @UseInterceptors(...inner)
    @UseInterceptors(...outer)
    plain(): unknown {
      return { user: new User(), list: [new User()] };
    }
    // The interceptors of the lowest decorator are the outermost.
    @Get('cached')
    @UseInterceptors(...inner)
    @Cached({ scope: 'public' })
    @UseInterceptors(...outer)
    cached(): unknown {
      return { user: new User(), list: [new User()] };
    }
  }
  return UsersController;
}

async function expectSameEverywhere(server: Server): Promise<void> {
  const uncached = await server.get('/plain');
  const [first, second] = [await server.get('/cached'), await server.get('/cached')];
  expect(uncached.body).toContain('hello alice');
  expect(uncached.body).not.toContain('hunter2');
  expect([first.body, second.body]).toEqual([uncached.body, uncached.body]);
  expect(second.cache).toMatch(/^cachekit; hit; ttl=/);
}

const globally = (app: INestApplication, ...interceptors: NestInterceptor[]): INestApplication =>
  app.useGlobalInterceptors(...interceptors);
const asProvider = (useClass: Type<NestInterceptor>): Provider => ({ provide: APP_INTERCEPTOR, useClass });

describe.each(PLATFORMS)('An excluded field on %s never appears, on miss or hit', (platform) => {
  const serializer = (): NestInterceptor => new ClassSerializerInterceptor(new Reflector());

  it.each<[string, Places]>([
    ['outside @Cached on the handler', { outer: [ClassSerializerInterceptor] }],
    ['inside @Cached on the handler', { inner: [ClassSerializerInterceptor] }],
    ['on the class', { onClass: [ClassSerializerInterceptor] }],
    ['on the class as a subclass', { onClass: [OwnSerializer] }],
    ['on the class as an instance', { onClass: [new ClassSerializerInterceptor(new Reflector())] }],
    ['on the class behind another interceptor', { onClass: [Logging, ClassSerializerInterceptor] }],
    ['on the class before an envelope', { onClass: [ClassSerializerInterceptor, Envelope] }],
    ['on the class behind an envelope', { onClass: [Envelope, ClassSerializerInterceptor] }],
    ['on the class and on the handler', { onClass: [OwnSerializer], outer: [ClassSerializerInterceptor] }],
    ['on the class, made for each request', { onClass: [RequestSerializer] }],
  ])('with a serializer %s', async (_where, places) => {
    await expectSameEverywhere(await serve(platform, { controllers: [users(places)] }));
  });

  it('with a serializer as APP_INTERCEPTOR', async () => {
    const providers = [asProvider(Logging), asProvider(ClassSerializerInterceptor), asProvider(Envelope)];
    await expectSameEverywhere(await serve(platform, { controllers: [users()], providers }));
  });

  it('with a serializer as APP_INTERCEPTOR, made for each request', async () => {
    const providers = [asProvider(Logging), asProvider(RequestSerializer)];
    await expectSameEverywhere(await serve(platform, { controllers: [users()], providers }));
  });

  it('with a serializer from app.useGlobalInterceptors', async () => {
    const configure = (app: INestApplication): unknown => globally(app, new Logging(), serializer());
    await expectSameEverywhere(await serve(platform, { controllers: [users()], configure }));
  });

  it('with serializers in all lists at once', async () => {
    const controllers = [users({ onClass: [OwnSerializer], outer: [ClassSerializerInterceptor] })];
    const configure = (app: INestApplication): unknown => globally(app, serializer());
    await expectSameEverywhere(await serve(platform, { controllers, configure }));
  });

  it('with a serializer that only one of two controllers with an inherited handler has', async () => {
    const Base = users();
    @Controller('serialized')
    @UseInterceptors(ClassSerializerInterceptor)
    class SerializedController extends Base {}
    @Controller('logged')
    @UseInterceptors(Logging)
    class LoggedController extends Base {}
    const server = await serve(platform, { controllers: [LoggedController, SerializedController] });
    const plain = await server.get('/serialized/plain');
    const bodies = [await server.get('/serialized/cached'), await server.get('/serialized/cached')];
    expect(bodies.map(({ body }) => body)).toEqual([plain.body, plain.body]);
    const logged = await server.get('/logged/plain');
    expect((await server.get('/logged/cached')).body).toBe(logged.body);
  });

  it('with a serializer that a controller inherits', async () => {
    const Base = users({ onClass: [ClassSerializerInterceptor] });
    @Controller('derived')
    class DerivedController extends Base {}
    @Controller('another')
    @UseInterceptors(Envelope)
    class AnotherController extends Base {}
    const server = await serve(platform, { controllers: [DerivedController, AnotherController] });
    for (const path of ['/derived', '/another']) {
      const plain = await server.get(`${path}/plain`);
      await server.get(`${path}/cached`);
      const hit = await server.get(`${path}/cached`);
      expect([hit.body, hit.cache]).toEqual([plain.body, expect.stringContaining('hit')]);
      expect(hit.body).not.toContain('hunter2');
    }
  });

  it('in a second app made of the same classes, with its serializer elsewhere', async () => {
    const controllers = [users({ onClass: [ClassSerializerInterceptor] })];
    await expectSameEverywhere(await serve(platform, { controllers }));
    await expectSameEverywhere(await serve(platform, { controllers }));
    const configure = (app: INestApplication): unknown => globally(app, serializer());
    await expectSameEverywhere(await serve(platform, { controllers, configure }));
  });
});

describe.each(PLATFORMS)('An instance of a class on %s', (platform) => {
  it('is handed on untouched and not stored when something outside the cache may change it', async () => {
    @Injectable()
    class HandMadeSerializer implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next
          .handle()
          .pipe(map((value: { user: unknown }) => ({ isUser: value.user instanceof User })));
      }
    }
    const server = await serve(platform, {
      controllers: [users()],
      providers: [asProvider(HandMadeSerializer)],
    });
    const answers = [await server.get('/cached'), await server.get('/cached')];
    expect(answers.map(({ body }) => body)).toEqual(Array(2).fill('{"isUser":true}'));
    expect(answers.map(({ cache }) => cache)).toEqual([
      'cachekit; fwd=uri-miss',
      'cachekit; fwd=bypass; detail=response',
    ]);
  });

  it('is cached when what lies outside may change it, but it is plain by then', async () => {
    const server = await serve(platform, {
      controllers: [users({ outer: [ClassSerializerInterceptor] })],
      providers: [asProvider(Envelope), asProvider(Logging)],
    });
    await expectSameEverywhere(server);
  });

  it('leaves interceptors outside the cache in force on hits, and none inside', async () => {
    const seen = { outside: 0, inside: 0 };
    const counting = (place: keyof typeof seen): NestInterceptor => ({
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        seen[place]++;
        return next.handle();
      },
    });
    @Controller()
    class CountedController {
      @Get('counted')
      @UseInterceptors(counting('inside'))
      @Cached()
      @UseInterceptors(counting('outside'))
      counted(): string {
        return 'counted';
      }
    }
    const server = await serve(platform, { controllers: [CountedController] });
    await server.get('/counted');
    await server.get('/counted');
    expect(seen).toEqual({ outside: 2, inside: 1 });
  });
});

describe('What an app does to instances on their way out', () => {
  it('keeps them out of the cache when a replacer of Express recognises them', async () => {
    const server = await serve('Express', {
      controllers: [users()],
      configure: (app) =>
        expressOf(app).set('json replacer', (_name: string, value: unknown) =>
          value instanceof User ? value.name : value,
        ),
    });
    await server.get('/cached');
    expect((await server.get('/cached')).body).toBe('{"user":"alice","list":["alice"]}');
  });

  it('keeps them out of the cache when middleware of Express has its own res.json', async () => {
    const server = await serve('Express', {
      controllers: [users()],
      configure: (app) =>
        app.use((_request: unknown, response: { json: (value: unknown) => void }, next: () => void) => {
          const json = response.json.bind(response);
          response.json = (value) => json({ isUser: (value as { user: unknown }).user instanceof User });
          next();
        }),
    });
    await server.get('/cached');
    expect((await server.get('/cached')).body).toBe('{"isUser":true}');
  });

  it('keeps them out of the cache when a hook of Fastify may change them', async () => {
    const server = await serve('Fastify', {
      controllers: [users()],
      configure: (app) =>
        (app as NestFastifyApplication)
          .getHttpAdapter()
          .getInstance()
          .addHook('preSerialization', (_request, _reply, payload, done) =>
            done(null, { isUser: (payload as { user: unknown }).user instanceof User }),
          ),
    });
    await server.get('/cached');
    expect((await server.get('/cached')).body).toBe('{"isUser":true}');
  });

  it('keeps them out of the cache when Fastify has a serializer that recognises them', async () => {
    const server = await serve('Fastify', {
      controllers: [users()],
      configure: (app) =>
        (app as NestFastifyApplication)
          .getHttpAdapter()
          .getInstance()
          .setReplySerializer((payload) =>
            JSON.stringify({ isUser: (payload as { user: unknown }).user instanceof User }),
          ),
    });
    await server.get('/cached');
    expect((await server.get('/cached')).body).toBe('{"isUser":true}');
  });

  it('keeps them out of the cache when a template gets them', async () => {
    @Controller()
    class PageController {
      @Get('page')
      @Cached()
      @Render('page')
      page(): unknown {
        return { user: new User() };
      }
      @Get('plain-page')
      @Cached()
      @Render('page')
      plain(): unknown {
        return { user: { greeting: `hello ${performance.now()}` } };
      }
    }
    const server = await serve('Express', {
      controllers: [PageController],
      configure: (app) => {
        const express = expressOf(app);
        express.engine('txt', (_file: string, view: object, done: (error: null, text: string) => void) =>
          done(null, (view as { user: User }).user.greeting),
        );
        express.set('view engine', 'txt');
        express.set('views', import.meta.dirname);
      },
    });
    await server.get('/page');
    expect((await server.get('/page')).body).toBe('hello alice');
    const miss = await server.get('/plain-page');
    const hit = await server.get('/plain-page');
    expect([hit.body, hit.cache]).toEqual([miss.body, expect.stringContaining('hit')]);
  });
});
