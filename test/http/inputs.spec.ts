import {
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Get,
  Headers,
  Inject,
  Injectable,
  Ip,
  Next,
  Param,
  Query,
  Req,
  Res,
  Scope,
  Session,
  Sse,
  type Type,
  UploadedFile,
  RawBody,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { of } from 'rxjs';
import { Cached, type CachedOptions } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { PLATFORMS, serve } from './serve.js';

const INPUTS = 'cachekit; fwd=bypass; detail=inputs';
const STORED = 'cachekit; fwd=uri-miss; stored';

const Language = createParamDecorator(
  (_data: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['accept-language'],
);

/** A controller whose handler takes one parameter, decorated like this. */
function taking(decorator: ParameterDecorator, cached: CachedOptions = {}): Type {
  @Controller()
  class TakingController {
    @Get('take/:id')
    @Cached(cached)
    take(@decorator input: unknown): unknown {
      return { seen: typeof input, at: performance.now() };
    }
  }
  return TakingController;
}

describe.each(PLATFORMS)('A handler on %s', (platform) => {
  it.each<[string, ParameterDecorator]>([
    ['@Req()', Req()],
    ['all @Headers()', Headers()],
    ['@Ip()', Ip()],
    ['@Session()', Session()],
    ['@RawBody()', RawBody()],
    ['@UploadedFile()', UploadedFile()],
    ['a custom decorator', Language()],
  ])('is not cached when it takes %s, until its author says what counts', async (_what, decorator) => {
    const undeclared = await serve(platform, { controllers: [taking(decorator)] });
    expect((await undeclared.get('/take/1')).cache).toBe(INPUTS);
    expect((await undeclared.get('/take/1')).cache).toBe(INPUTS);
    const declarations: CachedOptions[] = [{ key: 'x' }, { vary: ['accept-language'] }, { scope: 'public' }];
    for (const cached of declarations) {
      const declared = await serve(platform, { controllers: [taking(decorator, cached)] });
      expect((await declared.get('/take/1')).cache).toBe(STORED);
    }
    const identified = await serve(platform, { controllers: [taking(decorator)], identify: () => 'me' });
    expect((await identified.get('/take/1')).cache).toBe(STORED);
  });

  it('is cached when the key sees all it takes', async () => {
    const seen = [Param('id'), Param(), Query('x'), Query(), Headers('x-tenant')];
    for (const decorator of seen) {
      const server = await serve(platform, { controllers: [taking(decorator)] });
      expect((await server.get('/take/1')).cache).toBe(STORED);
    }
  });

  it.each<[string, ParameterDecorator]>([
    ['@Res()', Res()],
    ['@Res({ passthrough: true })', Res({ passthrough: true })],
    ['@Next()', Next()],
  ])('is left untouched when it takes %s', async (_what, decorator) => {
    @Controller()
    class AnsweringController {
      @Get('answer')
      @Cached({ scope: 'public' })
      answer(@decorator input: unknown, @Res() response: { send(body: string): void }): void {
        response.send(typeof input);
      }
    }
    const server = await serve(platform, { controllers: [AnsweringController] });
    await server.get('/answer');
    const second = await server.get('/answer');
    expect([second.status, second.cache]).toEqual([200, undefined]);
    expect(second.body).toMatch(/object|function|undefined/);
  });

  it('is left untouched when it sends events', async () => {
    @Controller()
    class EventsController {
      @Sse('events')
      @Cached()
      events(): unknown {
        return of({ data: 'one' }, { data: 'two' });
      }
    }
    const server = await serve(platform, { controllers: [EventsController] });
    await server.get('/events');
    const second = await server.get('/events');
    expect(second.cache).toBeUndefined();
    expect(second.body).toContain('data: one');
    expect(second.body).toContain('data: two');
  });

  it('is not cached when its controller is request-scoped, until its author says what counts', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {
      constructor(@Inject(REQUEST) readonly request: { headers: Record<string, string> }) {}
    }
    @Controller()
    class ScopedController {
      constructor(@Inject(Tenant) private readonly tenant: Tenant) {}
      @Get('undeclared')
      @Cached()
      undeclared(): unknown {
        return { tenant: this.tenant.request.headers['x-tenant'] };
      }
      @Get('declared')
      @Cached({ vary: ['x-tenant'] })
      declared(): unknown {
        return { tenant: this.tenant.request.headers['x-tenant'] };
      }
    }
    const server = await serve(platform, { controllers: [ScopedController], providers: [Tenant] });
    await server.get('/undeclared', { 'x-tenant': 'a' });
    const other = await server.get('/undeclared', { 'x-tenant': 'b' });
    expect([other.body, other.cache]).toEqual(['{"tenant":"b"}', INPUTS]);
    await server.get('/declared', { 'x-tenant': 'a' });
    const declared = await server.get('/declared', { 'x-tenant': 'b' });
    expect([declared.body, declared.cache]).toEqual(['{"tenant":"b"}', STORED]);
    expect((await server.get('/declared', { 'x-tenant': 'a' })).body).toBe('{"tenant":"a"}');
  });

  it('is not cached when the parameter that the key cannot see is inherited', async () => {
    class Base {
      take(@Ip() ip: string): unknown {
        return { ip };
      }
    }
    Get('take')(Base.prototype, 'take', descriptorOf(Base));
    Cached()(Base.prototype, 'take', descriptorOf(Base));
    @Controller()
    class InheritingController extends Base {}
    const server = await serve(platform, { controllers: [InheritingController] });
    expect((await server.get('/take')).cache).toBe(INPUTS);
  });
});

function descriptorOf(type: Type): PropertyDescriptor {
  return Object.getOwnPropertyDescriptor(type.prototype, 'take') as PropertyDescriptor;
}
