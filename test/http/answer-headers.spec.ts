import { Header, Res } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PLATFORMS } from './serve.js';
import { serveTwins } from './twins.js';

/** Only the clocks stand still: timers and sockets go on as ever. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);
const answer = (): object => ({ a: 1 });

describe.each(PLATFORMS)('An answer on %s', (platform) => {
  it('tells its age on a hit, in whole seconds, and none on a miss', async () => {
    const server = await serveTwins(platform, { answer });
    expect((await server.get('/cached')).headers).not.toHaveProperty('age');
    expect((await server.get('/cached')).headers.age).toBe('0');
    pass(42.9);
    expect((await server.get('/cached')).headers.age).toBe('42');
  });

  it('names in Vary what counts, beside what is there, on a miss, a hit and past the cache', async () => {
    const server = await serveTwins(platform, {
      answer,
      cached: { vary: ['Accept-Language', 'X-Tenant'] },
      decorators: [Header('Vary', 'X-Tenant')],
    });
    for (const headers of [{}, {}, { cookie: 'a=1' }]) {
      expect((await server.get('/cached', headers)).headers.vary).toBe('X-Tenant, accept-language');
    }
  });

  it('says nothing of the time that clients may keep it, unless asked', async () => {
    const server = await serveTwins(platform, { answer });
    await server.get('/cached');
    expect((await server.get('/cached')).headers).not.toHaveProperty('cache-control');
  });

  it('tells clients its whole ttl when asked, of which they subtract its age', async () => {
    const server = await serveTwins(platform, { answer, cached: { ttl: '1m', cacheControl: true } });
    expect((await server.get('/cached')).headers['cache-control']).toBe('private, max-age=60');
    pass(50);
    const { age, 'cache-control': cacheControl } = (await server.get('/cached')).headers;
    expect([age, cacheControl]).toEqual(['50', 'private, max-age=60']);
  });

  it('is public for clients where everybody shares it, and for a year where it never ends', async () => {
    const cached = { ttl: Infinity, cacheControl: true, scope: 'public' } as const;
    const server = await serveTwins(platform, { answer, cached });
    expect((await server.get('/cached')).headers['cache-control']).toBe('public, max-age=31536000');
  });

  it('says to clients what its author wrote', async () => {
    const server = await serveTwins(platform, { answer, cached: { cacheControl: 'no-cache' } });
    const answers = [await server.get('/cached'), await server.get('/cached')];
    expect(answers.map(({ headers }) => headers['cache-control'])).toEqual(['no-cache', 'no-cache']);
  });

  it('tells clients nothing of an answer that is not stored', async () => {
    const cached = { cacheControl: 'public, max-age=60', unless: () => true };
    const server = await serveTwins(platform, { answer, cached });
    expect((await server.get('/cached')).headers).not.toHaveProperty('cache-control');
    expect((await server.get('/cached', { cookie: 'a=1' })).headers).not.toHaveProperty('cache-control');
  });

  it('keeps what the handler says to clients', async () => {
    const server = await serveTwins(platform, {
      cached: { cacheControl: true },
      parameter: Res({ passthrough: true }),
      answer: (response: { header(name: string, value: string): void }) => {
        response.header('Cache-Control', 'public, max-age=5');
        return { a: 1 };
      },
    });
    const answers = [await server.get('/cached'), await server.get('/cached')];
    expect(answers.map(({ headers }) => headers['cache-control'])).toEqual(
      Array(2).fill('public, max-age=5'),
    );
  });
});
