import { type ExecutionContext, Header, Res, UseInterceptors, type CallHandler } from '@nestjs/common';
import { InMemoryBackend, CachekitModule } from 'nestjs-cachekit';
import { tap } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { PLATFORMS } from './serve.js';
import { serveTwins, type Surroundings, type Twin } from './twins.js';

const HIT = /^cachekit; hit; ttl=/;

interface AnyResponse {
  status(code: number): void;
  getHeader(name: string): unknown;
  header(name: string, value: unknown): void;
}

/** A handler that counts its runs, and says something about its response each time. */
function speaking(speak: (response: AnyResponse, run: number) => void, cached: Twin['cached'] = {}): Twin {
  let runs = 0;
  return {
    cached,
    parameter: Res({ passthrough: true }),
    answer: (response: AnyResponse) => {
      speak(response, ++runs);
      return { run: runs };
    },
  };
}

/** An app with middleware that says something else to each requester. */
function sayingToEach(name: string, valueFor: (who: string) => string): Surroundings {
  return {
    configure: (app) =>
      app.use(
        (
          request: { headers: Record<string, string> },
          response: { setHeader(name: string, value: string): void },
          next: () => void,
        ) => {
          response.setHeader(name, valueFor(String(request.headers['x-who'])));
          next();
        },
      ),
  };
}

/** Changes the text of every entry on its way into the store. */
class TamperingBackend extends InMemoryBackend {
  constructor(private readonly change: (text: string) => string) {
    super();
  }

  override replace(key: string, seen: string | undefined, bytes: Uint8Array, ttlMs: number) {
    const text = this.change(Buffer.from(bytes).toString());
    return super.replace(key, seen, Buffer.from(text), ttlMs);
  }
}

describe.each(PLATFORMS)('On %s, what a handler says about its response', (platform) => {
  it('is said again on a hit: a status and headers that belong to the answer', async () => {
    const twin = speaking((response, run) => {
      response.status(203);
      response.header('Link', `</page/${run}>; rel="next"`);
      response.header('Content-Language', 'de');
    });
    const server = await serveTwins(platform, twin);
    const [miss, hit] = [await server.get('/cached'), await server.get('/cached')];
    expect(hit.cache).toMatch(HIT);
    expect([miss.status, hit.status]).toEqual([203, 203]);
    expect(hit.headers).toMatchObject({ link: '</page/1>; rel="next"', 'content-language': 'de' });
    expect(hit.body).toBe(miss.body);
  });

  it('is said again on a hit by an interceptor inside the cache', async () => {
    const language = {
      intercept: (context: ExecutionContext, next: CallHandler) =>
        next
          .handle()
          .pipe(
            tap(() => context.switchToHttp().getResponse<AnyResponse>().header('Content-Language', 'de')),
          ),
    };
    const twin = { answer: () => 'hallo', decorators: [UseInterceptors(language)] };
    const server = await serveTwins(platform, twin);
    await server.get('/cached');
    const hit = await server.get('/cached');
    expect([hit.headers['content-language'], hit.cache]).toEqual(['de', expect.stringMatching(HIT)]);
  });

  it('may have headers that the author named, lists too', async () => {
    const twin = speaking((response) => response.header('X-Total', ['1', '2']), { headers: ['X-Total'] });
    const server = await serveTwins(platform, twin);
    await server.get('/cached');
    const hit = await server.get('/cached');
    expect([hit.headers['x-total'], hit.cache]).toEqual(['1, 2', expect.stringMatching(HIT)]);
  });

  it('has a header that nobody named: nothing is stored, and the warning names it and the option', async () => {
    // A warning is said once a process.
    const name = `x-total-${platform}`.toLowerCase();
    const server = await serveTwins(
      platform,
      speaking((response, run) => response.header(name, `${run}`)),
    );
    const answers = [await server.get('/cached'), await server.get('/cached')];
    expect(answers.map(({ headers }) => headers[name])).toEqual(['1', '2']);
    expect(server.warnings.join()).toContain(`the header ${name}, which the handler`);
    expect(server.warnings.join()).toContain(`@Cached({ headers: ['${name}'] })`);
  });

  it.each([
    ['a cookie', 'Set-Cookie', 'session=1'],
    ['no-store', 'Cache-Control', 'no-store'],
    ['private', 'Cache-Control', 'private, max-age=60'],
    ['a Vary that is not in the key', 'Vary', 'Cookie2'],
    ['a Vary that only CORS may set', 'Vary', 'Origin'],
  ])('is %s: nothing is stored', async (_what, name, value) => {
    const server = await serveTwins(
      platform,
      speaking((response) => response.header(name, value)),
    );
    await server.get('/cached');
    const second = await server.get('/cached');
    expect([second.body, second.cache]).toEqual(['{"run":2}', 'cachekit; fwd=bypass; detail=response']);
  });

  it('reaches all who wait for the same answer', async () => {
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let runs = 0;
    const twin: Twin = {
      parameter: Res({ passthrough: true }),
      answer: async (response: AnyResponse) => {
        runs++;
        await finished;
        response.header('Link', '</a>');
        return 'answer';
      },
    };
    let collapsed = 0;
    const server = await serveTwins(platform, twin, {
      onEvent: ({ type }) => (collapsed += +(type === 'collapsed')),
    });
    const both = [server.get('/cached'), server.get('/cached')];
    await expect.poll(() => collapsed).toBe(1);
    finish();
    expect((await Promise.all(both)).map(({ headers }) => headers['link'])).toEqual(['</a>', '</a>']);
    expect(runs).toBe(1);
  });

  it('is not touched where the surroundings speak to each request anew', async () => {
    const server = await serveTwins(
      platform,
      speaking((response) => response.header('Link', '</a>')),
      {
        configure: (app) =>
          app.use(
            (
              request: { headers: Record<string, string> },
              response: { setHeader(name: string, value: string): void },
              next: () => void,
            ) => {
              response.setHeader('X-Request-Id', String(request.headers['x-request-id']));
              next();
            },
          ),
      },
    );
    await server.get('/cached', { 'x-request-id': 'one' });
    const hit = await server.get('/cached', { 'x-request-id': 'two' });
    expect(hit.headers).toMatchObject({ 'x-request-id': 'two', link: '</a>' });
    expect(hit.cache).toMatch(HIT);
  });

  it('never brings to one requester what middleware said to another, and the handler added to', async () => {
    const server = await serveTwins(
      platform,
      speaking((response) => {
        response.header('Link', [response.getHeader('Link'), '</next>; rel=next']);
      }),
      sayingToEach('Link', (who) => `</${who}>; rel=me`),
    );
    for (const [who, run] of Object.entries({ alice: 1, bob: 2 })) {
      const [miss, hit] = [
        await server.get('/cached', { 'x-who': who }),
        await server.get('/cached', { 'x-who': who }),
      ];
      expect([miss.headers['link'], hit.headers['link']]).toEqual(
        Array(2).fill(`</${who}>; rel=me, </next>; rel=next`),
      );
      expect([hit.body, hit.cache]).toEqual([`{"run":${run}}`, expect.stringMatching(HIT)]);
    }
  });

  it('counts too where it is what middleware said to one requester already', async () => {
    const json = 'application/json; charset=utf-8';
    const server = await serveTwins(
      platform,
      {
        parameter: Res({ passthrough: true }),
        answer: (response: AnyResponse) => {
          response.header('Content-Type', json);
          return '"<script>alert(1)</script>"';
        },
      },
      sayingToEach('Content-Type', (who) => (who === 'alice' ? json : 'text/html; charset=utf-8')),
    );
    for (const who of ['alice', 'bob', 'alice', 'bob']) {
      expect((await server.get('/cached', { 'x-who': who })).headers['content-type']).toBe(json);
    }
  });

  it('is stored once where middleware says the same to everybody, and that does not stand in the store', async () => {
    const server = await serveTwins(
      platform,
      speaking((response) => response.header('Content-Language', 'de')),
      sayingToEach('Link', () => '</style.css>; rel=preload'),
    );
    await server.get('/cached', { 'x-who': 'alice' });
    const hit = await server.get('/cached', { 'x-who': 'bob' });
    expect(hit.cache).toMatch(HIT);
    expect(hit.headers).toMatchObject({ link: '</style.css>; rel=preload', 'content-language': 'de' });
  });

  it('beside a static header is only what differs from that', async () => {
    const twin: Twin = {
      ...speaking((response) => response.header('Content-Type', 'application/json; charset=utf-8')),
      decorators: [Header('Content-Type', 'application/json; charset=utf-8')],
    };
    const server = await serveTwins(platform, twin);
    await server.get('/cached');
    const hit = await server.get('/cached');
    expect([hit.headers['content-type'], hit.cache]).toEqual([
      'application/json; charset=utf-8',
      expect.stringMatching(HIT),
    ]);
  });
});

describe.each(PLATFORMS)('On %s, from a store that somebody else writes to,', (platform) => {
  const serveTampered = (change: (text: string) => string) =>
    serveTwins(
      platform,
      speaking((response) => response.header('Link', '</a>')),
      {
        caches: [CachekitModule.forRoot(new TamperingBackend(change))],
      },
    );

  it.each([
    ['a header that the handler may not have', '"link":', '"set-cookie":', 'stored'],
    ['an illegal header', '</a>', '</a>\\r\\nSet-Cookie: a=1', 'miss'],
    ['an illegal name of a header', '"link":', '"li nk":', 'miss'],
    ['an illegal version', '"etag":"', '"etag":"a\\nb', 'miss'],
    ['an impossible status', '"headers":', '"status":999,"headers":', 'miss'],
    ['a status of an error', '"headers":', '"status":500,"headers":', 'miss'],
    ['an unknown kind of body', '"body":"json"', '"body":"html"', 'miss'],
    ['a head that is no object', /\{"body".*\n/, 'null\n', 'miss'],
    ['a head that is no JSON', '{"body"', '{{"body"', 'miss'],
    ['no head', /\n\{"body"[^]*/, '\n', 'miss'],
  ])('%s never reaches a client', async (_what, before, after, outcome) => {
    const server = await serveTampered((text) => text.replace(before, after));
    await server.get('/cached');
    const second = await server.get('/cached');
    expect([second.status, second.headers['set-cookie']]).toEqual([200, undefined]);
    expect(second.body).toBe(outcome === 'miss' ? '{"run":2}' : '{"run":1}');
  });
});
