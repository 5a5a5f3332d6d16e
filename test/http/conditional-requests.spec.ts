import { Header, HttpCode, Res } from '@nestjs/common';
import { CacheService } from 'nestjs-cachekit';
import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { PLATFORMS, type Server } from './serve.js';
import { serveTwins, type Twin } from './twins.js';
import { serveWhoami } from './whoami.js';

const OBJECT: Twin = { answer: () => ({ name: 'Tom' }), cached: { vary: ['accept-language'] } };
const TEXT: Twin = { answer: () => 'Tom', cached: { vary: ['accept-language'] } };

/** The ETag that a miss has, after which there is an entry. */
async function etagOf(server: Server): Promise<string> {
  return String((await server.get('/cached')).headers.etag);
}

describe.each(PLATFORMS)('A conditional request on %s', (platform) => {
  it.each([
    ['an object', OBJECT],
    ['text', TEXT],
  ])('gets 304 for %s that it has, without a body, with what caches need', async (_what, twin) => {
    const server = await serveTwins(platform, twin);
    const etag = await etagOf(server);
    const answer = await server.get('/cached', { 'if-none-match': etag });
    expect([answer.status, answer.body, answer.headers.etag]).toEqual([304, '', etag]);
    expect(answer.cache).toMatch(/^cachekit; hit; ttl=/);
    expect(answer.headers.vary).toBe('accept-language');
    expect(answer.headers).not.toHaveProperty('content-type');
    expect(answer.headers).not.toHaveProperty('content-length');
  });

  it.each([
    ['strong', (etag: string) => etag.replace('W/', ''), 304],
    ['in a list', (etag: string) => `"a", W/"b,c" ,${etag}`, 304],
    ['a star', () => '*', 304],
    ['another', () => 'W/"another"', 200],
    ['without quotes', (etag: string) => etag.replaceAll('"', ''), 200],
    ['empty', () => '', 200],
  ])('compares weakly: the tag is %s', async (_what, change, status) => {
    const server = await serveTwins(platform, OBJECT);
    const etag = await etagOf(server);
    const answer = await server.get('/cached', { 'if-none-match': change(etag) });
    expect([answer.status, answer.headers.etag]).toEqual([status, etag]);
    expect(answer.body).toBe(status === 304 ? '' : '{"name":"Tom"}');
  });

  it('gets 304 from a miss too', async () => {
    const server = await serveTwins(platform, OBJECT);
    const etag = await etagOf(server);
    await server.app.get(CacheService).clear();
    const answer = await server.get('/cached', { 'if-none-match': etag });
    expect([answer.status, answer.body, answer.cache]).toEqual([304, '', 'cachekit; fwd=uri-miss; stored']);
  });

  it('gets the new answer after a change', async () => {
    let name = 'Tom';
    const server = await serveTwins(platform, { answer: () => ({ name }) });
    const etag = await etagOf(server);
    name = 'Jerry';
    await server.app.get(CacheService).clear();
    const answer = await server.get('/cached', { 'if-none-match': etag });
    expect([answer.status, answer.body]).toEqual([200, '{"name":"Jerry"}']);
    expect(answer.headers.etag).not.toBe(etag);
  });

  it('gets 304 also from a handler with a status and a type of its own, whose next answer is whole', async () => {
    const decorators = [HttpCode(203), Header('Content-Type', 'application/json')];
    const server = await serveTwins(platform, { ...OBJECT, decorators });
    const etag = await etagOf(server);
    const answer = await server.get('/cached', { 'if-none-match': etag });
    expect([answer.status, answer.body]).toEqual([304, '']);
    expect(answer.headers).not.toHaveProperty('content-type');
    expect(await server.get('/cached')).toMatchObject({ status: 203, body: '{"name":"Tom"}' });
  });

  it('may be a HEAD', async () => {
    const server = await serveTwins(platform, OBJECT);
    const etag = await etagOf(server);
    const answer = await server.send('/cached', { 'if-none-match': etag }, { method: 'HEAD' });
    expect([answer.status, answer.body, answer.headers.etag]).toEqual([304, '', etag]);
    // It may be left out, but must not be another one than that of the answer.
    expect(answer.headers['content-type'] ?? 'application/json').toMatch(/^application\/json/);
  });

  it('goes by the time of change where it names no version', async () => {
    const changed = 'Wed, 21 Oct 2015 07:28:00 GMT';
    const server = await serveTwins(platform, {
      parameter: Res({ passthrough: true }),
      answer: (response: { header(name: string, value: string): void }) => {
        response.header('Last-Modified', changed);
        return 'answer';
      },
    });
    const etag = await etagOf(server);
    const ask = async (since: string, tag?: string): Promise<number> =>
      (await server.get('/cached', { 'if-modified-since': since, ...(tag && { 'if-none-match': tag }) }))
        .status;
    expect(await ask(changed)).toBe(304);
    expect(await ask('Wed, 21 Oct 2015 07:27:59 GMT')).toBe(200);
    expect(await ask('yesterday')).toBe(200);
    expect(await ask(changed, '"another"')).toBe(200);
    expect(await ask('yesterday', etag)).toBe(304);
  });

  it('goes by the version that the handler gives', async () => {
    const server = await serveTwins(platform, {
      parameter: Res({ passthrough: true }),
      answer: (response: { header(name: string, value: string): void }) => {
        response.header('ETag', '"v1"');
        return { a: 1 };
      },
    });
    expect(await etagOf(server)).toBe('"v1"');
    expect((await server.get('/cached', { 'if-none-match': 'W/"v1"' })).status).toBe(304);
  });

  it('is answered in full where something outside the cache may change the answer', async () => {
    let counter = 0;
    const server = await serveTwins(
      platform,
      { answer: () => ({ a: 1 }) },
      {
        configure: (app) =>
          app.useGlobalInterceptors({
            intercept: (_context, next) =>
              next.handle().pipe(map((data: unknown) => ({ data, at: counter++ }))),
          }),
      },
    );
    const etag = await etagOf(server);
    const answer = await server.get('/cached', { 'if-none-match': etag });
    expect([answer.status, answer.body]).toEqual([200, '{"data":{"a":1},"at":1}']);
  });
});

describe.each(PLATFORMS)("Nobody on %s learns of another's answer by its version:", (platform) => {
  it('who asks with the version of somebody else gets the own answer', async () => {
    const server = await serveWhoami(platform, { cache: { secret: 'a secret of 16 characters' } });
    const alice = { authorization: 'Bearer alice' };
    const bob = { authorization: 'Bearer bob' };
    const etag = (await server.get('/whoami', alice)).headers.etag;
    const answer = await server.get('/whoami', { ...bob, 'if-none-match': String(etag) });
    expect([answer.status, answer.headers.etag === etag]).toEqual([200, false]);
    expect(answer.body).toContain('bob');
    expect(answer.body).not.toContain('alice');
  });

  it('who is kept out by a guard is kept out with the right version too', async () => {
    const server = await serveTwins(platform, OBJECT, {
      configure: (app) =>
        app.useGlobalGuards({
          canActivate: (context) => {
            const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
            return headers['x-blocked'] === undefined;
          },
        }),
    });
    const etag = await etagOf(server);
    const answer = await server.get('/cached', { 'x-blocked': 'yes', 'if-none-match': etag });
    expect([answer.status, answer.headers.etag === etag]).toEqual([403, false]);
  });

  it('who is not cached gets no version of the stored answer', async () => {
    const server = await serveWhoami(platform, {});
    const etag = (await server.get('/whoami')).headers.etag;
    const answer = await server.get('/whoami', { cookie: 'session=1', 'if-none-match': String(etag) });
    expect([answer.status, answer.cache]).toEqual([200, 'cachekit; fwd=bypass; detail=credentials']);
    expect(answer.body).toContain('session=1');
  });
});
