import { Controller, Get, Headers } from '@nestjs/common';
import { Cached, CachekitModule } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { PLATFORMS, serve } from './serve.js';
import { serveWhoami } from './whoami.js';

const HIT = /^cachekit; hit; ttl=/;
const STORED = 'cachekit; fwd=uri-miss; stored';
const CREDENTIALS = 'cachekit; fwd=bypass; detail=credentials';
const IDENTITY = 'cachekit; fwd=bypass; detail=identity';
const SECRET = 'a secret of the tests';

/** Headers by which the proxies of several vendors name whom they let through. */
const NAMING = [
  'x-consumer-id',
  'x-forwarded-email',
  'x-auth-request-email',
  'x-remote-user',
  'cf-access-authenticated-user-email',
  'x-amzn-oidc-identity',
  'x-goog-authenticated-user-id',
  'x-goog-authenticated-user-email',
  'x-ms-client-principal-id',
  'x-ms-client-principal-name',
];
/** Headers that hold more than a name: a digest of them needs the secret. */
const PROVING = ['x-session-id', 'x-ms-client-principal'];

const basic = (name: string): string => `Basic ${Buffer.from(`${name}:password`).toString('base64')}`;

describe.each(PLATFORMS)('On %s', (platform) => {
  it('visitors without credentials share an answer', async () => {
    const server = await serveWhoami(platform, {});
    const first = await server.get('/whoami');
    const second = await server.get('/whoami', { 'x-trace': '1' });
    expect(first.cache).toBe(STORED);
    expect(second.cache).toMatch(HIT);
    expect(second.body).toBe(first.body);
  });

  it("alice never receives bob's answer when both send bearer tokens", async () => {
    const server = await serveWhoami(platform, {});
    const bob = await server.get('/whoami', { authorization: 'Bearer bob' });
    const alice = await server.get('/whoami', { authorization: 'Bearer alice' });
    const aliceAgain = await server.get('/whoami', { authorization: 'Bearer alice' });
    expect(alice.body).toContain('Bearer alice');
    expect(alice.body).not.toContain('bob');
    expect(bob.cache).toBe(STORED);
    expect(aliceAgain.cache).toMatch(HIT);
    expect(aliceAgain.body).toBe(alice.body);
  });

  it('a visitor never receives the answer of somebody with a token, nor the other way round', async () => {
    const server = await serveWhoami(platform, {});
    await server.get('/whoami', { authorization: 'Bearer bob' });
    const visitor = await server.get('/whoami');
    const alice = await server.get('/whoami', { authorization: 'Bearer alice' });
    expect(visitor.cache).toBe(STORED);
    expect(visitor.body).not.toContain('Bearer');
    expect(alice.cache).toBe(STORED);
  });

  it.each([
    ['a cookie', { cookie: 'session=1' }],
    ['an empty cookie', { cookie: '' }],
    ['an API key', { 'x-api-key': '1' }],
    ['an API key in odd case', { 'X-API-Key': '1' }],
    ['an auth token', { 'x-auth-token': '1' }],
    ['proxy credentials', { 'proxy-authorization': 'Bearer 1' }],
    ['the id of a user', { 'x-user-id': '1' }],
    ['the id of a tenant', { 'X-Tenant-Id': '1' }],
    ['a user whom a proxy has let through', { 'x-forwarded-user': 'bob' }],
    ['a certificate that a proxy has checked', { 'x-forwarded-client-cert': 'bob' }],
    ['an assertion of an identity-aware proxy', { 'cf-access-jwt-assertion': 'bob' }],
    ['an access token in a header of its own', { 'x-access-token': 'bob' }],
    ['a user whom nginx has let through', { 'x-auth-request-user': 'bob' }],
    ['a remote user', { 'remote-user': 'bob' }],
    ['a password', { authorization: basic('bob') }],
    ['an empty Authorization', { authorization: '' }],
    ['an Authorization of blanks', { authorization: ' ' }],
    ['a bearer without a token', { authorization: 'Bearer ' }],
    ['a token of another scheme', { authorization: 'Digest username="bob"' }],
    ['a bearer token and a cookie', { authorization: 'Bearer bob', cookie: 'session=1' }],
  ])('a request with %s goes past the cache', async (_what, headers) => {
    const server = await serveWhoami(platform, {});
    const first = await server.get('/whoami', headers);
    const second = await server.get('/whoami', { ...headers, 'x-trace': 'second' });
    expect([first.cache, second.cache]).toEqual([CREDENTIALS, CREDENTIALS]);
    expect(second.body).toContain('second');
  });

  it('a request with a header by which a vendor says who it is from goes past the cache', async () => {
    const server = await serveWhoami(platform, {});
    for (const name of [...NAMING, ...PROVING])
      expect([name, (await server.get('/whoami', { [name]: 'bob' })).cache]).toEqual([name, CREDENTIALS]);
  });

  it('those headers may stand in vary without a secret, but for what could be guessed', async () => {
    for (const [names, cache] of [
      [NAMING, STORED],
      [PROVING, CREDENTIALS],
    ] as const) {
      const server = await serveWhoami(platform, { cached: { vary: names } });
      for (const name of names)
        expect([name, (await server.get('/whoami', { [name]: 'bob' })).cache]).toEqual([name, cache]);
    }
  });

  it('a request with two Authorization headers goes past the cache', async () => {
    const server = await serveWhoami(platform, { cache: { secret: SECRET } });
    const headers = ['Host', 'a.test', 'Authorization', 'Bearer bob', 'authorization', 'Bearer alice'];
    expect((await server.get('/whoami', headers)).cache).toBe(CREDENTIALS);
  });

  it.each(['access_token', 'api_key', 'ACCESS_TOKEN', 'Api-Key', 'apikey', 'accessToken', 'access_token[]'])(
    'a request with ?%s= goes past the cache',
    async (name) => {
      const server = await serveWhoami(platform, { cached: { query: [] } });
      const path = `/whoami?${name}=`;
      await server.get(`${path}bob`);
      const alice = await server.get(`${path}alice`);
      expect(alice.cache).toBe(CREDENTIALS);
      expect(alice.body).toContain('alice');
    },
  );

  it('a password is cached under a digest that needs the secret', async () => {
    const keys: string[] = [];
    const server = await serveWhoami(platform, {
      cache: { secret: SECRET, onEvent: (event) => event.type === 'set' && keys.push(event.key) },
    });
    const bob = await server.get('/whoami', { authorization: basic('bob') });
    const alice = await server.get('/whoami', { authorization: basic('alice') });
    expect([bob.cache, alice.cache]).toEqual([STORED, STORED]);
    expect((await server.get('/whoami', { authorization: basic('bob') })).body).toBe(bob.body);
    expect(keys).toHaveLength(2);
    expect(keys.join()).not.toContain(basic('bob').slice(6));
  });

  it('no token stands in a key', async () => {
    const keys: string[] = [];
    const onEvent = (event: { type: string; key?: string }): unknown => keys.push(event.key ?? '');
    const server = await serveWhoami(platform, { cache: { onEvent } });
    await server.get('/whoami', { authorization: 'Bearer top-secret-token' });
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.join()).not.toContain('top-secret-token');
  });

  it("alice never receives bob's answer when a guard finds plain users", async () => {
    const server = await serveWhoami(platform, { user: (login) => ({ id: login, roles: ['user'] }) });
    const bob = await server.get('/whoami', { 'x-login': 'bob' });
    const alice = await server.get('/whoami', { 'x-login': 'alice' });
    const visitor = await server.get('/whoami');
    expect([bob.cache, alice.cache, visitor.cache]).toEqual([STORED, STORED, STORED]);
    expect((await server.get('/whoami', { 'x-login': 'bob' })).body).toBe(bob.body);
    expect(alice.body).toContain('alice');
  });

  it('the same user is recognised whatever the order of its properties', async () => {
    const server = await serveWhoami(platform, {
      user: (login) => (login === '1' ? { id: 7, name: 'bob' } : { name: 'bob', id: 7 }),
    });
    await server.get('/whoami', { 'x-login': '1' });
    expect((await server.get('/whoami', { 'x-login': '2' })).cache).toMatch(HIT);
  });

  class User {
    readonly #name: string;
    constructor(name: string) {
      this.#name = name;
    }
    get name(): string {
      return this.#name;
    }
  }

  it.each<[string, (login: string) => unknown]>([
    ['an instance of a class with private fields', (login) => new User(login)],
    ['a plain object that holds an instance', (login) => ({ account: new User(login) })],
    ['an object with a hidden property', (login) => Object.defineProperty({}, 'id', { value: login })],
    ['an object with a symbol', (login) => ({ [Symbol('id')]: login })],
    ['an object that inherits its id', (login) => Object.create({ id: login }) as unknown],
    [
      'an object that inherits from nothing but data',
      (login) => Object.create(Object.assign(Object.create(null), { id: login })) as unknown,
    ],
    ['a map', (login) => new Map([['id', login]])],
    ['a date', (login) => new Date(login.length)],
    ['a function', (login) => () => login],
    ['not a number', () => Number.NaN],
    ['a proxy', (login) => new Proxy({}, { get: () => login })],
    [
      'a cycle',
      () => {
        const user: Record<string, unknown> = {};
        user['self'] = user;
        return user;
      },
    ],
  ])("alice never receives bob's answer when request.user is %s", async (_what, user) => {
    const server = await serveWhoami(platform, { user });
    await server.get('/whoami', { 'x-login': 'bob' });
    const alice = await server.get('/whoami', { 'x-login': 'eve' });
    expect(alice.cache).toBe(CREDENTIALS);
    expect(alice.body).toContain('eve');
  });

  it("alice never receives bob's answer when middleware finds the users", async () => {
    const server = await serveWhoami(platform, { middlewareUser: (login) => ({ id: login }) });
    const bob = await server.get('/whoami', { 'x-login': 'bob' });
    const alice = await server.get('/whoami', { 'x-login': 'alice' });
    expect([bob.cache, alice.cache]).toEqual([STORED, STORED]);
    expect((await server.get('/whoami', { 'x-login': 'bob' })).body).toBe(bob.body);
  });

  it("a key of one's own never replaces the identity", async () => {
    const server = await serveWhoami(platform, { cached: { key: 'same' }, user: (login) => ({ login }) });
    await server.get('/whoami', { 'x-login': 'bob' });
    const alice = await server.get('/whoami', { 'x-login': 'alice' });
    const token = await server.get('/whoami', { authorization: 'Bearer carol' });
    expect([alice.cache, token.cache]).toEqual([STORED, STORED]);
  });

  it("scope 'public' shares an answer on purpose, whoever asks", async () => {
    const server = await serveWhoami(platform, { cached: { scope: 'public' } });
    await server.get('/whoami');
    const others = [{ cookie: 'a=1' }, { authorization: basic('bob') }, { 'x-api-key': '1' }];
    for (const headers of others) expect((await server.get('/whoami', headers)).cache).toMatch(HIT);
  });

  it('identify decides alone who shares an answer', async () => {
    const identify = ({ headers }: { headers: Record<string, unknown> }): string =>
      String(headers['x-tenant']);
    const server = await serveWhoami(platform, { cache: { identify } });
    const first = await server.get('/whoami', { 'x-tenant': 'a', cookie: 'user=bob' });
    const other = await server.get('/whoami', { 'x-tenant': 'b', cookie: 'user=bob' });
    const second = await server.get('/whoami', { 'x-tenant': 'a', authorization: basic('alice') });
    expect([first.cache, other.cache]).toEqual([STORED, STORED]);
    expect(second.body).toBe(first.body);
  });

  it("scope 'private' keys by identify, which may take its time", async () => {
    const identify = async (request: { user?: unknown }): Promise<string | undefined> =>
      Promise.resolve((request.user as { id?: string } | undefined)?.id);
    const server = await serveWhoami(platform, {
      cached: { scope: 'private' },
      cache: { identify },
      user: (id) => ({ id }),
    });
    await server.get('/whoami', { 'x-login': 'bob' });
    expect((await server.get('/whoami', { 'x-login': 'alice' })).cache).toBe(STORED);
    expect((await server.get('/whoami', { 'x-login': 'bob' })).cache).toMatch(HIT);
    expect((await server.get('/whoami')).cache).toBe(IDENTITY);
  });

  it.each<[string, () => unknown]>([
    ['answers nothing', () => undefined],
    ['answers null', () => null],
    ['answers an empty text', () => ''],
    ['answers a number', () => 7],
    ['answers an object', () => ({ id: 7 })],
    ['rejects', () => Promise.reject(new Error('no session store'))],
    [
      'throws',
      () => {
        throw new TypeError("Cannot read properties of undefined (reading 'id')");
      },
    ],
  ])('a request goes past the cache when identify %s', async (_what, identify) => {
    const server = await serveWhoami(platform, { cache: { identify: identify as () => string } });
    await server.get('/whoami', { 'x-trace': 'first' });
    const second = await server.get('/whoami', { 'x-trace': 'second' });
    expect([second.status, second.cache]).toEqual([200, IDENTITY]);
    expect(second.body).toContain('second');
  });

  it('a request waits for identify no longer than loadTimeout, and is answered past the cache', async () => {
    const hangs = (): Promise<string> => new Promise<string>(() => {});
    const server = await serveWhoami(platform, { cache: { identify: hangs, loadTimeout: '50ms' } });
    const { status, cache, body } = await server.get('/whoami', { 'x-trace': 'mine' });
    expect([status, cache]).toEqual([200, IDENTITY]);
    expect(body).toContain('mine');
  });

  it('what identify answers stands in no key', async () => {
    const keys: string[] = [];
    const onEvent = (event: { type: string; key?: string }): unknown => keys.push(event.key ?? '');
    const server = await serveWhoami(platform, { cache: { onEvent, identify: () => 'session-id-of-bob' } });
    await server.get('/whoami');
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.join()).not.toContain('session-id-of-bob');
  });

  it('a list of credentials replaces the default one, but for authorization', async () => {
    const server = await serveWhoami(platform, { cache: { credentials: ['X-Member'] } });
    expect((await server.get('/whoami', { cookie: 'consent=1' })).cache).toBe(STORED);
    expect((await server.get('/whoami', { 'x-member': 'bob' })).cache).toBe(CREDENTIALS);
    expect((await server.get('/whoami', { authorization: basic('bob') })).cache).toBe(CREDENTIALS);
  });

  it("alice never receives bob's answer when an API key is in vary and there is a secret", async () => {
    const keys: string[] = [];
    const onEvent = (event: { type: string; key?: string }): unknown => keys.push(event.key ?? '');
    const server = await serveWhoami(platform, {
      cached: { vary: ['x-api-key'] },
      cache: { secret: SECRET, onEvent },
    });
    await server.get('/whoami', { 'x-api-key': 'key-of-bob' });
    expect((await server.get('/whoami', { 'x-api-key': 'key-of-alice' })).cache).toBe(STORED);
    expect((await server.get('/whoami', { 'x-api-key': 'key-of-bob' })).cache).toMatch(HIT);
    expect((await server.get('/whoami', { 'x-api-key': '' })).cache).toBe(CREDENTIALS);
    expect(keys.join()).not.toContain('key-of-bob');
  });

  it.each([
    ['vary', 'whoami'],
    ['@Headers()', 'taken'],
  ])('tenants that %s names are cached apart, without a secret', async (_what, path) => {
    const keys: string[] = [];
    @Controller()
    class TenantController {
      @Get('whoami')
      @Cached({ vary: ['X-Tenant-Id'] })
      whoami(): unknown {
        return { tenants: keys.length };
      }
      @Get('taken')
      @Cached()
      taken(@Headers('x-tenant-id') tenant: string): unknown {
        return { tenant };
      }
    }
    const onEvent = (event: { type: string; key?: string }): unknown => keys.push(event.key ?? '');
    const server = await serve(platform, {
      controllers: [TenantController],
      caches: [CachekitModule.forRoot(undefined, { onEvent })],
    });
    const first = await server.get(`/${path}`, { 'x-tenant-id': 'first-tenant' });
    const other = await server.get(`/${path}`, { 'x-tenant-id': 'other-tenant' });
    const again = await server.get(`/${path}`, { 'x-tenant-id': 'first-tenant' });
    expect([first.cache, other.cache]).toEqual([STORED, STORED]);
    expect(again.cache).toMatch(HIT);
    expect(again.body).toBe(first.body);
    expect(keys.join()).not.toContain('first-tenant');
    expect((await server.get(`/${path}`, { 'x-tenant-id': '' })).cache).toBe(CREDENTIALS);
  });

  it('an API key in vary goes past the cache without a secret', async () => {
    const server = await serveWhoami(platform, { cached: { vary: ['x-api-key'] } });
    expect((await server.get('/whoami', { 'x-api-key': 'key-of-bob' })).cache).toBe(CREDENTIALS);
    expect((await server.get('/whoami')).cache).toBe(STORED);
  });

  it('a handler that takes a credential by name shares with nobody who sends another', async () => {
    @Controller()
    class TakingController {
      @Get('cookie')
      @Cached({ scope: 'public' })
      cookie(@Headers('Cookie') cookie: string): unknown {
        return { cookie };
      }
      @Get('token')
      @Cached({ scope: 'public' })
      token(@Headers('authorization') token: string): unknown {
        return { token };
      }
    }
    const server = await serve(platform, { controllers: [TakingController] });
    expect((await server.get('/cookie', { cookie: 'bob' })).cache).toBe(CREDENTIALS);
    await server.get('/token', { authorization: 'Bearer bob' });
    const alice = await server.get('/token', { authorization: 'Bearer alice' });
    expect(alice.body).toBe('{"token":"Bearer alice"}');
    expect((await server.get('/token', { authorization: basic('bob') })).cache).toBe(CREDENTIALS);
  });
});
