import { Client } from 'memjs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { CachekitConfigError } from 'nestjs-cachekit';
import { MemcachedBackend, type MemcachedBackendOptions } from 'nestjs-cachekit/memcached';

describe('the options of MemcachedBackend', () => {
  test('may be absent', () => {
    expect(() => [
      new MemcachedBackend(),
      new MemcachedBackend({}),
      new MemcachedBackend({ url: undefined, username: undefined, password: undefined }),
    ]).not.toThrow();
  });

  test.each([
    ['a url', { url: 'memcached://localhost' }],
    ['a url with user and password', { url: 'memcached://u:p%23%40@127.0.0.1:11212/' }],
    ['an address without a scheme', { url: 'localhost:11211' }],
    ['an address of IPv6', { url: 'memcached://[::1]:11211' }],
    ['several servers', { servers: ['10.0.0.1:11211', 'memcached://10.0.0.2', '[::1]'] }],
    ['one user for all servers', { servers: ['a', 'b'], username: 'u', password: 'p@:/#' }],
  ] satisfies [string, MemcachedBackendOptions][])('take %s', (_, options) => {
    expect(() => new MemcachedBackend(options)).not.toThrow();
  });

  test.each<[string, unknown, RegExp]>([
    ['something else than an object', ['memcached://localhost'], /options must be an object/],
    ['nothing at all', null, /options must be an object/],
    ['an unknown name', { host: 'localhost' }, /unknown option "host".*url, servers/],
    [
      'a client',
      { client: Client.create('localhost:11211') },
      /a client can't be shared.*`url` or `servers`/,
    ],
    ['a client that is undefined', { client: undefined }, /a client can't be shared/],
    ['an illegal namespace', { namespace: 'a:b' }, /MemcachedBackend: the namespace "a:b"/],
    ['two places', { url: 'localhost', servers: ['localhost'] }, /one of url and servers/],
    ['servers that are undefined', { servers: undefined }, /"servers" is undefined/],
    ['no servers', { servers: [] }, /at least one server/],
    ['servers in one text', { servers: 'a:1,b:2' }, /`servers` takes a list/],
    ['several servers in one url', { url: 'secret1:11211,secret2:11211' }, /several go into `servers`/],
    ['several hosts in one url', { url: 'secret1,secret2' }, /several go into `servers`/],
    ['the same server twice', { servers: ['a:11211', 'memcached://A'] }, /lists a:11211 twice/],
    ['a url that is no text', { url: 11211 }, /can't be read/],
    ['a url without a host', { url: 'memcached://' }, /can't be read/],
    ['a port of 0', { url: 'localhost:0' }, /can't be read/],
    [
      'a url of another kind',
      { url: 'redis://somebody:secret@localhost' },
      /begins with "redis:".*memcached:\/\//,
    ],
    ['TLS', { url: 'memcacheds://localhost' }, /stunnel/],
    ['a path', { url: 'memcached://localhost/secret' }, /no path/],
    ['parameters', { url: 'memcached://localhost?timeout=secret' }, /no path, parameters/],
    ['a password with a # in it', { url: 'memcached://u:secret#1@localhost:11211' }, /# is %23/],
    ['a password with a % in it', { url: 'memcached://u:secret%zz@localhost' }, /% is %25/],
    [
      'a user without a password',
      { url: 'memcached://secret@localhost' },
      /a url with a user has a password/,
    ],
    [
      'a password without a user',
      { url: 'memcached://:secret@localhost' },
      /a url with a user has a password/,
    ],
    ['a username alone', { username: 'secret' }, /go together/],
    ['a password alone', { password: 'secret' }, /go together/],
    ['a password that is no text', { username: 'u', password: 5 }, /both are texts/],
    [
      'a user in two places',
      { url: 'memcached://u:secret@localhost', username: 'u', password: 'secret' },
      /in the url or as `username`/,
    ],
  ])('refuse %s', (_, options, message) => {
    const make = () => Reflect.construct(MemcachedBackend, [options]);

    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/secret/);
  });

  test('do not compile in a mixture', () => {
    type Takes<T> = T extends MemcachedBackendOptions ? true : false;

    expectTypeOf<Takes<{ url: string; namespace: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ servers: string[]; username: string; password: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ url: string; servers: string[] }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ servers: string }>>().toEqualTypeOf<false>();
  });
});
