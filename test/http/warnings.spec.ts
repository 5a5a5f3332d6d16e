import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Injectable,
  Ip,
  type NestInterceptor,
  Redirect,
  Res,
  Sse,
  StreamableFile,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { of } from 'rxjs';
import { Cached, CachekitModule } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { type AppSetup, serve, type Server } from './serve.js';

// A process says each warning once, so every class here has a name that no other test uses.

class Instance {
  readonly a = 1;
}

@Injectable()
class Outsider implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
    return next.handle();
  }
}

async function warningsOf(
  setup: AppSetup,
  ask: (server: Server) => Promise<unknown>,
): Promise<readonly string[]> {
  const server = await serve('Express', setup);
  for (let times = 0; times < 3; times++) await ask(server);
  return server.warnings;
}

describe('An author is warned once,', () => {
  it('when an app has no cache of that name', async () => {
    @Controller()
    class WithoutCacheController {
      @Get('one')
      @Cached({ cache: 'nowhere' })
      one(): string {
        return '1';
      }
      @Get('two')
      @Cached({ cache: 'nowhere' })
      two(): string {
        return '2';
      }
    }
    const setup = { controllers: [WithoutCacheController], caches: [] };
    expect(
      await warningsOf(setup, async (server) => [await server.get('/one'), await server.get('/two')]),
    ).toEqual([
      'Nothing is cached by @Cached, since the app has no cache named "nowhere": ' +
        "add CachekitModule.forRoot(backend, { name: 'nowhere' }) to the imports of AppModule.",
    ]);
  });

  it.each<[string, Type, RegExp]>([
    [
      'a handler takes what the key can not see',
      takesIp(),
      /^@Cached on WarnedIpController\.find: not cached.*@Ip\(\)\. .*key or vary/,
    ],
    [
      'a handler takes the response',
      takesResponse(),
      /^@Cached on WarnedResController\.find: not cached.*@Res\(\).*Return the value.*passthrough/,
    ],
    [
      'a handler sends events',
      sendsEvents(),
      /^@Cached on WarnedSseController\.find: not cached.*event stream/,
    ],
  ])('at the start, when %s', async (_what, controller, message) => {
    const warnings = await warningsOf({ controllers: [controller] }, () => Promise.resolve());
    expect(warnings).toEqual([expect.stringMatching(message)]);
  });

  it('when requests carry credentials', async () => {
    const warnings = await warningsOf({ controllers: [plain('WarnedCookieController')] }, (server) =>
      server.get('/find', { cookie: `id=${performance.now()}` }),
    );
    expect(warnings).toEqual([
      expect.stringMatching(/WarnedCookieController\.find: .*header cookie.*scope: 'public'.*identify/),
    ]);
  });

  it('when a handler answers with a stream', async () => {
    const controller = plain('WarnedStreamController', () => new StreamableFile(Buffer.from('x')));
    const warnings = await warningsOf({ controllers: [controller] }, (server) => server.get('/find'));
    expect(warnings).toEqual([
      expect.stringMatching(/WarnedStreamController\.find: not cached, since .*stream/),
    ]);
  });

  it('when instances of classes meet interceptors outside the cache', async () => {
    const controller = plain('WarnedInstanceController', () => [new Instance()]);
    const providers = [{ provide: APP_INTERCEPTOR, useClass: Outsider }];
    const warnings = await warningsOf({ controllers: [controller], providers }, (server) =>
      server.get('/find'),
    );
    expect(warnings).toEqual([
      expect.stringMatching(
        /WarnedInstanceController\.find: .*Outsider outside the cache.*Return plain objects/,
      ),
    ]);
  });

  it('of interceptors outside the cache also when they have no name', async () => {
    const controller = plain('WarnedAnonymousController', () => [new Instance()]);
    const configure: AppSetup['configure'] = (app) =>
      app.useGlobalInterceptors(new (class extends Outsider {})(), {
        intercept: (_context, next) => next.handle(),
      });
    const warnings = await warningsOf({ controllers: [controller], configure }, (server) =>
      server.get('/find'),
    );
    expect(warnings).toEqual([
      expect.stringContaining('and an interceptor, an interceptor outside the cache'),
    ]);
  });

  it('when a redirect is not for good', async () => {
    @Controller()
    class WarnedRedirectController {
      @Get('find')
      @Cached()
      @Redirect('/x')
      find(): void {}
    }
    const warnings = await warningsOf({ controllers: [WarnedRedirectController] }, (server) =>
      server.get('/find'),
    );
    expect(warnings).toEqual([expect.stringMatching(/WarnedRedirectController\.find: not stored.*302/)]);
  });

  it('when a handler has a status whose answers are not cached', async () => {
    @Controller()
    class WarnedStatusController {
      @Get('find')
      @Cached()
      @HttpCode(201)
      find(): string {
        return 'found';
      }
    }
    const warnings = await warningsOf({ controllers: [WarnedStatusController] }, (server) =>
      server.get('/find'),
    );
    expect(warnings).toEqual([
      expect.stringMatching(
        /WarnedStatusController\.find: not cached.* status is 201\. .*200, 203, 301, 308/,
      ),
    ]);
  });

  it('when somebody signs in inside the cache', async () => {
    const signIn: NestInterceptor = {
      intercept(context, next) {
        Object.assign(context.switchToHttp().getRequest<object>(), { user: { id: 'SECRET' } });
        return next.handle();
      },
    };
    @Controller()
    class WarnedSignInController {
      @Get('find')
      @UseInterceptors(signIn)
      @Cached()
      find(): string {
        return 'found';
      }
    }
    const warnings = await warningsOf({ controllers: [WarnedSignInController] }, (server) =>
      server.get('/find'),
    );
    expect(warnings).toEqual([
      expect.stringMatching(/WarnedSignInController\.find: not cached.*request\.user.*guard or a middleware/),
    ]);
    expect(warnings.join()).not.toContain('SECRET');
  });

  it('when identify never answers', async () => {
    const setup: AppSetup = {
      controllers: [plain('WarnedHangingController')],
      identify: () => new Promise<string>(() => {}),
      loadTimeout: '20ms',
    };
    expect(await warningsOf(setup, (server) => server.get('/find'))).toEqual([
      expect.stringMatching(/WarnedHangingController\.find: .*identify did not settle within 20 ms/),
    ]);
  });

  it('when a callback throws', async () => {
    const controller = plain('WarnedCallbackController', () => 'x', {
      when: () => {
        throw new Error('no such flag');
      },
    });
    const warnings = await warningsOf({ controllers: [controller] }, (server) => server.get('/find'));
    expect(warnings).toEqual([
      expect.stringMatching(/WarnedCallbackController\.find: .*when threw.*no such flag/),
    ]);
  });

  it('never, when the answer itself says no-store, or identify answers nothing on purpose', async () => {
    const setup: AppSetup = {
      controllers: [plain('UnwarnedController')],
      caches: [CachekitModule.forRoot(undefined, { identify: () => undefined })],
    };
    expect(await warningsOf(setup, (server) => server.get('/find'))).toEqual([]);
    const configure: AppSetup['configure'] = (app) =>
      app.use(
        (_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void) => {
          response.setHeader('Cache-Control', 'no-store');
          next();
        },
      );
    const noStore = { controllers: [plain('NoStoreController')], configure };
    expect(await warningsOf(noStore, (server) => server.get('/find'))).toEqual([]);
  });
});

/** A controller of this name with one cached handler. */
function plain(
  name: string,
  answer: () => unknown = () => 'found',
  options: Parameters<typeof Cached>[0] = {},
): Type {
  class PlainController {
    find(): unknown {
      return answer();
    }
  }
  return decorate(PlainController, name, Get('find'), Cached(options));
}

function takesIp(): Type {
  class IpController {
    find(@Ip() ip: string): string {
      return ip;
    }
  }
  return decorate(IpController, 'WarnedIpController', Get('find'), Cached());
}

function takesResponse(): Type {
  class ResController {
    find(@Res() response: { end(): void }): void {
      response.end();
    }
  }
  return decorate(ResController, 'WarnedResController', Get('find'), Cached());
}

function sendsEvents(): Type {
  class SseController {
    find(): unknown {
      return of({ data: 'x' });
    }
  }
  return decorate(SseController, 'WarnedSseController', Sse('find'), Cached());
}

function decorate(type: Type, name: string, ...decorators: MethodDecorator[]): Type {
  Object.defineProperty(type, 'name', { value: name });
  const prototype = type.prototype as object;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, 'find') as PropertyDescriptor;
  for (const decorator of decorators) decorator(prototype, 'find', descriptor);
  Controller()(type);
  return type;
}
