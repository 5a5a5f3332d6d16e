import {
  type ClassSerializerContextOptions,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import { Expose } from 'class-transformer';
import { Cached, type CachekitOptions } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
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
