import { Controller, Get, HttpException, NotFoundException, Param } from '@nestjs/common';
import { Cached, type CachedOptions, CachekitModule, InMemoryBackend } from 'nestjs-cachekit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { gate } from '../../lib/testing/tools.js';
import { PLATFORMS, serve, type Server } from './serve.js';

/** Only the clocks stand still: timers and sockets go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);

/** A controller whose handler answers, or throws, what the test says. */
function controllerOf(options: CachedOptions, answer: (id: string) => unknown): new () => object {
  @Controller()
  class ThingsController {
    @Get('things/:id')
    @Cached(options)
    find(@Param('id') id: string): unknown {
      return answer(id);
    }
  }
  return ThingsController;
}

describe.each(PLATFORMS)('On %s, with staleIfError,', (platform) => {
  let failure: Error | undefined;
  let runs = 0;
  let server: Server;
  beforeEach(async () => {
    [failure, runs] = [undefined, 0];
    const answer = (): unknown => {
      runs++;
      if (failure) throw failure;
      return { run: runs };
    };
    const controllers = [controllerOf({ ttl: '1m', staleIfError: '10m' }, answer)];
    server = await serve(platform, { controllers });
    await server.get('/things/1');
    pass(120);
  });

  it.each([
    ['an error', new Error('the database is away')],
    ['a 503', new HttpException('busy', 503)],
  ])(
    'a handler that throws %s is answered by the last answer, and rests for a second',
    async (_what, thrown) => {
      failure = thrown;
      const stale = await server.get('/things/1');
      expect(stale).toMatchObject({ status: 200, body: '{"run":1}', cache: 'cachekit; fwd=stale; ttl=-60' });
      await server.get('/things/1');
      expect(runs).toBe(2);

      pass(2);
      failure = undefined;
      expect(await server.get('/things/1')).toMatchObject({ status: 200, body: '{"run":3}' });
    },
  );

  it('an answer that says no is an answer: 404 is passed on', async () => {
    failure = new NotFoundException();
    expect((await server.get('/things/1')).status).toBe(404);
    expect((await server.get('/things/1')).status).toBe(404);
  });

  it('an error is passed on once the answer is too old', async () => {
    failure = new Error('away');
    pass(600);
    expect((await server.get('/things/1')).status).toBe(500);
  });
});

describe.each(PLATFORMS)('On %s,', (platform) => {
  it('the answer may tell its ttl', async () => {
    const answer = vi.fn((id: string) => ({ maxAge: Number(id) }));
    const ttl = (value: unknown): number => (value as { maxAge: number }).maxAge;
    const server = await serve(platform, { controllers: [controllerOf({ ttl }, answer)] });
    await server.get('/things/90');
    expect((await server.get('/things/90')).cache).toBe('cachekit; hit; ttl=90');
    pass(91);
    expect((await server.get('/things/90')).cache).toBe('cachekit; fwd=uri-miss; stored');
    await server.get('/things/0');
    expect((await server.get('/things/0')).cache).toBe('cachekit; fwd=uri-miss');
  });

  it('with lock, one of two processes runs the handler and both answer', async () => {
    const backend = new InMemoryBackend();
    const slow = gate<{ once: boolean }>();
    const serveOne = (): Promise<Server> =>
      serve(platform, {
        controllers: [controllerOf({ lock: true, key: 'k', scope: 'public' }, slow.load)],
        caches: [CachekitModule.forRoot(backend)],
      });
    const [one, other] = [await serveOne(), await serveOne()];
    const answers = [one, other, one, other].map((server) => server.get('/things/1', { host: 'shop' }));
    await slow.reached;
    slow.open({ once: true });
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(Array(4).fill('{"once":true}'));
    expect(slow.calls()).toBe(1);
  });

  it.each([
    [{ staleIfError: '1 m' }, /@Cached on ThingsController.find, staleIfError: ttl "1 m"/],
    [{ lock: 1 }, /@Cached on ThingsController.find: the option lock must be a boolean/],
  ])('the options %j are refused when the class is defined', (options, message) => {
    expect(() => controllerOf(options as unknown as CachedOptions, () => 1)).toThrow(message);
  });
});

describe('A handler of an app', () => {
  it('whose answer’s ttl can not be told is answered, not stored, and warned of', async () => {
    const ttl = (): never => {
      throw new Error('no maxAge');
    };
    const server = await serve('Express', { controllers: [controllerOf({ ttl }, () => 'answer')] });
    expect(await server.get('/things/1')).toMatchObject({ status: 200, body: 'answer' });
    expect((await server.get('/things/1')).cache).toBe('cachekit; fwd=uri-miss');
    expect(server.warnings.join()).toMatch(/ThingsController.find.*its ttl could not be told.*no maxAge/);
  });
});
