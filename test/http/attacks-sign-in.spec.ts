import {
  type ClassSerializerContextOptions,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  type NestInterceptor,
  Req,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import {
  Cached,
  type CachedOptions,
  CacheService,
  type CachekitOptions,
  type HttpRequest,
} from 'nestjs-cachekit';
import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Gate } from './gate.js';
import { type Platform, PLATFORMS, serve, type Server } from './serve.js';

interface User {
  readonly id: string;
}

/** The header `x-me`, which is no credential to the cache, says who asks. */
interface Asked {
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Fastify: Node's request. */
  readonly raw?: Asked;
  user?: unknown;
}

class Member implements User {
  constructor(readonly id: string) {}
}

type SignIn = (request: Asked) => void;

const asUser = ({ headers }: Asked): User | undefined => {
  const id = headers['x-me'];
  return id === undefined ? undefined : { id };
};

const asMember = (request: Asked): Member | undefined => {
  const user = asUser(request);
  return user && new Member(user.id);
};

/** Signs in on the way to the handler, and names in each answer who has signed in. */
const signingIn = (signIn: SignIn): NestInterceptor => ({
  intercept(context, next) {
    const request = context.switchToHttp().getRequest<Asked>();
    signIn(request);
    return next.handle().pipe(map((value: object) => ({ ...value, me: nameOf(request) })));
  },
});

function nameOf({ user, raw }: Asked): string {
  return ((user ?? raw?.user) as User | undefined)?.id ?? 'nobody';
}

/** A handler with something inside the cache that signs in. */
function signedInInside(signIn: SignIn, cached: CachedOptions = {}): Type {
  @Controller()
  class MeController {
    @Get('me')
    @UseInterceptors(signingIn(signIn))
    @Cached(cached)
    find(): object {
      return {};
    }
  }
  return MeController;
}

function signedInByHandler(): Type {
  @Controller()
  class MeController {
    @Get('me')
    @Cached({ key: 'me' })
    find(@Req() request: Asked): object {
      request.user = asUser(request);
      return { me: nameOf(request) };
    }
  }
  return MeController;
}

/** Signs in where it asks for the groups of who asks, as one may that goes by roles. */
@Injectable()
class SigningInSerializer extends ClassSerializerInterceptor {
  protected override getContextOptions(context: ExecutionContext): ClassSerializerContextOptions {
    const request = context.switchToHttp().getRequest<Asked>();
    request.user = asUser(request);
    return { ...super.getContextOptions(context), groups: [nameOf(request)] };
  }

  override serialize(value: object, { groups }: ClassSerializerContextOptions): object {
    return { ...value, me: groups?.[0] };
  }
}

function signedInBySerializer(): Type {
  @Controller()
  @UseInterceptors(SigningInSerializer)
  class MeController {
    @Get('me')
    @Cached()
    find(): object {
      return {};
    }
  }
  return MeController;
}

/** A guard that finds the user; a handler inside of which something else becomes of it. */
function serveGuarded(platform: Platform, change: SignIn, cache: CachekitOptions = {}): Promise<Server> {
  return serve(platform, {
    ...cache,
    controllers: [signedInInside(change)],
    configure: (app) =>
      app.useGlobalGuards({
        canActivate(context) {
          const request = context.switchToHttp().getRequest<Asked>();
          request.user = asUser(request);
          return true;
        },
      }),
  });
}

const ask = (server: Server, me: string | undefined): ReturnType<Server['get']> =>
  server.get('/me', me === undefined ? {} : { 'x-me': me });

async function expectEachTheirOwn(server: Server): Promise<void> {
  for (const me of ['alice', 'bob', undefined, 'alice'])
    expect((await ask(server, me)).body).toBe(JSON.stringify({ me: me ?? 'nobody' }));
}

const setUser: SignIn = (request) => void (request.user = asUser(request));
const HIT = /^cachekit; hit/;
const NOT_STORED = 'cachekit; fwd=uri-miss';

describe.each(PLATFORMS)(
  'On %s, nobody receives the answer of one who signs in inside the cache:',
  (platform) => {
    it.each<[string, Type]>([
      ['in an interceptor above @Cached', signedInInside(setUser)],
      ["in an interceptor, on Node's request", signedInInside((request) => setUser(request.raw ?? request))],
      [
        'in an interceptor, as an instance of a class',
        signedInInside((request) => void (request.user = asMember(request))),
      ],
      ['in a class serializer', signedInBySerializer()],
      ['in the handler', signedInByHandler()],
    ])('%s', async (_where, controller) => {
      const server = await serve(platform, { controllers: [controller] });
      await expectEachTheirOwn(server);
    });

    it('the answer says that it is not shared', async () => {
      const server = await serve(platform, { controllers: [signedInInside(setUser)] });
      expect((await ask(server, 'alice')).cache).toBe(NOT_STORED);
      expect((await ask(server, 'bob')).cache).toBe('cachekit; fwd=bypass; detail=response');
    });

    it('nor does one who waited for it', async () => {
      const signedIn = new Gate();
      let runs = 0;
      @Controller()
      class SlowController {
        @Get('me')
        @UseInterceptors(signingIn(setUser))
        @Cached()
        async find(): Promise<object> {
          if (++runs === 1) await signedIn.opened;
          return {};
        }
      }
      const server = await serve(platform, { controllers: [SlowController] });
      const alice = ask(server, 'alice');
      await expect.poll(() => runs).toBe(1);
      const bob = ask(server, 'bob');
      await expect.poll(() => server.app.get(CacheService).stats().collapsed).toBe(1);
      signedIn.open();
      expect([(await alice).body, (await bob).body]).toEqual(['{"me":"alice"}', '{"me":"bob"}']);
    });

    it('where a guard knew another user before', async () => {
      const actAs = (request: Asked): void => void (request.user = { id: 'somebody else' });
      const server = await serveGuarded(platform, actAs);
      expect((await ask(server, 'alice')).cache).toBe(NOT_STORED);
    });

    it('where the user of a guard is changed in place', async () => {
      const actAs = ({ user }: Asked): void => void Object.assign(user as object, { id: 'somebody else' });
      const server = await serveGuarded(platform, actAs);
      expect((await ask(server, 'alice')).cache).toBe(NOT_STORED);
    });

    it('where the user of a guard is signed out', async () => {
      const server = await serveGuarded(platform, (request) => void (request.user = undefined));
      expect((await ask(server, 'alice')).cache).toBe(NOT_STORED);
    });
  },
);

describe.each(PLATFORMS)('On %s, answers are stored as ever', (platform) => {
  async function expectHit(server: Server, me: string | undefined): Promise<void> {
    const first = await ask(server, me);
    const second = await ask(server, me);
    expect(second.body).toBe(first.body);
    expect(second.cache).toMatch(HIT);
    expect(server.warnings).toEqual([]);
  }

  it.each<[string, SignIn]>([
    ['is only read', () => undefined],
    ['is put there once more, as an equal object', setUser],
  ])('where the user of a guard %s', async (_what, change) => {
    const server = await serveGuarded(platform, change);
    await expectHit(server, 'alice');
    await expectHit(server, 'bob');
    await expectEachTheirOwn(server);
  });

  it('for visitors, where nobody signs in', async () => {
    await expectHit(await serve(platform, { controllers: [signedInInside(setUser)] }), undefined);
  });

  it('where one signs in outside the cache, below @Cached', async () => {
    @Controller()
    class MeController {
      @Get('me')
      @Cached()
      @UseInterceptors(signingIn(setUser))
      find(): object {
        return {};
      }
    }
    const server = await serve(platform, { controllers: [MeController] });
    await expectHit(server, 'alice');
    await expectEachTheirOwn(server);
  });

  it("where scope 'public' says that everybody may share what is inside", async () => {
    const controllers = [signedInInside(setUser, { scope: 'public' })];
    await expectHit(await serve(platform, { controllers }), 'alice');
  });

  it('where identify says who asks, and so decides alone', async () => {
    const identify = ({ headers }: HttpRequest): string => String(headers['x-me'] ?? 'visitor');
    const server = await serve(platform, { controllers: [signedInInside(setUser)], identify });
    await expectHit(server, 'alice');
    await expectEachTheirOwn(server);
  });
});
