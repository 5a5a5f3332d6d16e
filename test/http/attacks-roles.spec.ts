import {
  type CallHandler,
  type ClassSerializerContextOptions,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  type PlainLiteralObject,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import { Expose } from 'class-transformer';
import { Cached, type CachedOptions, type CachekitOptions } from 'nestjs-cachekit';
import { map, type Observable } from 'rxjs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Platform, PLATFORMS, serve, type Server } from './serve.js';

class Employee {
  @Expose()
  readonly name = 'Tom';
  @Expose({ groups: ['boss'] })
  readonly salary = 1_000;
}

interface Asked {
  readonly headers: Readonly<Record<string, string>>;
  user?: unknown;
}

/** Serializes by the groups of who asks. */
@Injectable()
class RoleSerializer extends ClassSerializerInterceptor {
  protected override getContextOptions(context: ExecutionContext): ClassSerializerContextOptions {
    const { user } = context.switchToHttp().getRequest<{ user?: { role: string } }>();
    return { ...super.getContextOptions(context), groups: user === undefined ? [] : [user.role] };
  }
}

/** Finds the user in the header `x-login`, which is no credential to the cache. */
const findUser = (asUser: (role: string) => unknown) => ({
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Asked>();
    const role = request.headers['x-login'];
    if (role !== undefined) request.user = asUser(role);
    return true;
  },
});

const PLACES = ['the handler', 'the controller', 'the app', 'the app, as APP_INTERCEPTOR'] as const;

function serveEmployee(
  platform: Platform,
  place: (typeof PLACES)[number],
  { asUser, ...cache }: CachekitOptions & { asUser: (role: string) => unknown },
): Promise<Server> {
  @Controller()
  @UseInterceptors(...(place === 'the controller' ? [RoleSerializer] : []))
  class EmployeesController {
    @Get('employee')
    @Cached()
    @UseInterceptors(...(place === 'the handler' ? [RoleSerializer] : []))
    find(): Employee {
      return new Employee();
    }
  }
  const asProvider = { provide: APP_INTERCEPTOR, useClass: RoleSerializer };
  return serve(platform, {
    ...cache,
    controllers: [EmployeesController],
    providers: place === 'the app, as APP_INTERCEPTOR' ? [asProvider] : [],
    configure: (app) => {
      app.useGlobalGuards(findUser(asUser));
      if (place === 'the app') app.useGlobalInterceptors(new RoleSerializer(new Reflector()));
    },
  });
}

const BOSS = '{"name":"Tom","salary":1000}';
const OTHERS = '{"name":"Tom"}';

async function expectEachTheirOwn(server: Server): Promise<void> {
  for (const login of ['boss', 'clerk', undefined, 'boss', 'clerk', undefined]) {
    const { body } = await server.get('/employee', login === undefined ? {} : { 'x-login': login });
    expect(body).toBe(login === 'boss' ? BOSS : OTHERS);
  }
}

describe.each(PLATFORMS)('On %s, a class serializer that goes by the role of who asks,', (platform) => {
  describe.each(PLACES)('on %s, never shows a salary to a clerk or a visitor:', (place) => {
    it('plain users have answers of their own, and hits', async () => {
      const server = await serveEmployee(platform, place, { asUser: (role) => ({ role }) });
      await expectEachTheirOwn(server);
      expect((await server.get('/employee', { 'x-login': 'clerk' })).cache).toMatch(/hit/);
    });

    it('users of a class are not cached', async () => {
      class User {
        constructor(readonly role: string) {}
      }
      await expectEachTheirOwn(await serveEmployee(platform, place, { asUser: (role) => new User(role) }));
    });

    it('an identify that names the role is enough', async () => {
      const identify = ({ user }: { user?: unknown }): string =>
        (user as { role: string } | undefined)?.role ?? 'visitor';
      await expectEachTheirOwn(
        await serveEmployee(platform, place, { asUser: (role) => ({ role }), identify }),
      );
    });
  });
});

/** A class serializer with this name and an `intercept` of its own, which gets at the request and the response. */
function serializerNamed(
  name: string,
  change: (value: Run, http: ReturnType<ExecutionContext['switchToHttp']>) => unknown,
): Type<ClassSerializerInterceptor> {
  class OwnSerializer extends ClassSerializerInterceptor {
    override async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
      return next.handle().pipe(map((value) => change(value, context.switchToHttp())));
    }
  }
  Object.defineProperty(OwnSerializer, 'name', { value: name });
  return OwnSerializer;
}

interface Run {
  readonly run: number;
}

// A process says each warning once, so every serializer here has a name that no other test uses.

describe.each(PLATFORMS)('On %s, a class serializer', (platform) => {
  const serveRuns = (
    cached: CachedOptions,
    serializer: Type<ClassSerializerInterceptor>,
  ): Promise<Server> => {
    let runs = 0;
    @Controller()
    class RunsController {
      @Get('runs')
      @Cached(cached)
      find(): Run {
        return { run: ++runs };
      }
    }
    return serve(platform, {
      controllers: [RunsController],
      configure: (app) => app.useGlobalInterceptors(new serializer(new Reflector())),
    });
  };

  /** Only the clocks stand still: timers and sockets go on as ever. */
  const freezeClocks = (): void => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
  };

  const STALE = { ttl: '1m', staleWhileRevalidate: '10m' } as const;

  it('with an intercept of its own is warned of, since it may go by who asks', async () => {
    const name = `${platform}HeaderSerializer`;
    const byHeader = serializerNamed(name, (value, http) =>
      http.getRequest<Asked>().headers['x-login'] === 'boss' ? value : {},
    );
    const server = await serveRuns({ scope: 'public' }, byHeader);
    await server.get('/runs', { 'x-login': 'boss' });
    expect(server.warnings).toEqual([expect.stringMatching(`${name} lies inside the cache.*vary`)]);
  });

  it('with an intercept of its own speaks only to the response that has its answer', async () => {
    freezeClocks();
    const speaking = serializerNamed(`${platform}SpeakingSerializer`, (value, http) => {
      http.getResponse<{ header(name: string, value: string): void }>().header('link', `</${value.run}>`);
      return value;
    });
    const server = await serveRuns(STALE, speaking);
    await server.get('/runs');
    vi.advanceTimersByTime(120_000);
    for (let times = 0; times < 2; times++) {
      const { body, headers } = await server.get('/runs');
      expect([body, headers['link']]).toEqual(['{"run":2}', '</2>']);
    }
  });

  it('that only overrides serialize runs again in the background, and is warned of nowhere', async () => {
    freezeClocks();
    class MarkingSerializer extends ClassSerializerInterceptor {
      override serialize(value: Run): PlainLiteralObject {
        return { ...value, marked: true };
      }
    }
    const server = await serveRuns(STALE, MarkingSerializer);
    await server.get('/runs');
    vi.advanceTimersByTime(120_000);
    expect((await server.get('/runs')).body).toBe('{"run":1,"marked":true}');
    await expect.poll(async () => (await server.get('/runs')).body).toBe('{"run":2,"marked":true}');
    expect(server.warnings).toEqual([]);
  });
});
