import { Cluster, Redis } from 'ioredis';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, expectTypeOf, inject, onTestFinished, test } from 'vitest';
import { BackendUnavailableError, CachekitConfigError } from 'nestjs-cachekit';
import { RedisBackend, type RedisBackendOptions } from 'nestjs-cachekit/redis';
import { describeOn } from '../servers/describe-on.js';
import { launchRedis } from '../servers/redis.server.js';
import { makeTempFolder, removeTempFolder, writeTempFile } from '../servers/temp-folder.js';

const NODES = [{ host: '127.0.0.1', port: 1 }];

describe('the options of RedisBackend', () => {
  test('may be absent', () => {
    expect(() => [
      new RedisBackend(),
      new RedisBackend({}),
      new RedisBackend({ url: undefined }),
    ]).not.toThrow();
  });

  test.each([
    ['a url', { url: 'redis://localhost' }],
    [
      'a url with TLS, user, password, database and address family',
      { url: 'rediss://u:p%23@[::1]:6380/2?family=6' },
    ],
    ['host and port', { options: { host: 'localhost', port: 6379 } }],
    ['a socket', { options: { path: '/run/redis.sock' } }],
    ['sentinels', { options: { sentinels: [{ host: 'localhost' }], name: 'main' } }],
    ['nodes of a Cluster', { nodes: NODES, options: { redisOptions: { password: 'p' } } }],
    ['nodes as urls', { nodes: ['redis://:p@localhost:7000', 'localhost:7001'] }],
    [
      'options shared with a job queue',
      { url: 'redis://localhost', options: { maxRetriesPerRequest: null } },
    ],
  ] satisfies [string, RedisBackendOptions][])('take %s', (_, options) => {
    expect(() => new RedisBackend(options)).not.toThrow();
  });

  test.each<[string, object, RegExp]>([
    ['something else than an object', ['redis://localhost'], /an object, for instance \{ url/],
    ['an unknown name', { host: 'localhost' }, /unknown option "host".*goes into `options`/],
    ['an illegal namespace', { namespace: 'a:b' }, /RedisBackend: the namespace "a:b"/],
    ['two places', { url: 'redis://localhost', nodes: NODES }, /one of url and nodes/],
    ['a client that is undefined', { client: undefined }, /"client" is undefined/],
    ['nodes that are undefined', { nodes: undefined }, /"nodes" is undefined/],
    ['no nodes', { nodes: [] }, /at least one node/],
    ['nodes that are no list', { nodes: 'localhost' }, /at least one node/],
    ['a node that is none', { nodes: [null] }, /a node is \{ host, port \}/],
    [
      'a node whose password is not encoded',
      { nodes: ['redis://:secret#1@localhost:6379'] },
      /can't be read/,
    ],
    ['options that are no object', { options: 'secret' }, /`options` takes an object/],
    ['a url of another kind', { url: 'http://somebody:secret@localhost' }, /begins with "http:".*redis:\/\//],
    ['a url of a socket', { url: '/run/redis.sock' }, /can't be read/],
    ['a url that is no string', { url: 6379 }, /can't be read/],
    ['a password with a # in it', { url: 'redis://:secret#1@localhost:6379' }, /can't be read.*# is %23/],
    ['a password with a % in it', { url: 'redis://:secret%zz@localhost:6379' }, /can't be read.*% is %25/],
    ['a name for a database', { url: 'redis://localhost/secret' }, /number of a database/],
    [
      'parameters in the url',
      { url: 'redis://localhost?enableOfflineQueue=true' },
      /"enableOfflineQueue".*`options`/,
    ],
    ['sentinels without a name', { options: { sentinels: [{ host: 'localhost' }] } }, /`options.name`/],
    ['no sentinels', { options: { sentinels: [], name: 'main' } }, /at least one address/],
    ['reading from a replica', { options: { role: 'slave' } }, /`options.role` is decided by RedisBackend/],
    ['a reconnection of its own', { options: { retryStrategy: null } }, /`options.retryStrategy` is decided/],
    [
      'a Cluster that reads from replicas',
      { nodes: NODES, options: { scaleReads: 'all' } },
      /`options.scaleReads`/,
    ],
    [
      'an offline queue for the nodes of a Cluster',
      { nodes: NODES, options: { redisOptions: { enableOfflineQueue: true } } },
      /`options.redisOptions.enableOfflineQueue`/,
    ],
    [
      'something else than a client',
      { client: new Map() },
      /not a client of the package "ioredis".*give `url`/,
    ],
    ['null for a client', { client: null }, /not a client of the package "ioredis"/],
  ])('refuse %s', (_, options, message) => {
    const make = () => Reflect.construct(RedisBackend, [options]);

    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/secret/);
  });

  test('refuse options beside a client, and a client that reads from replicas', () => {
    const lazyConnect = true;
    const make = (options: object) => () => Reflect.construct(RedisBackend, [options]);

    expect(make({ client: new Redis({ lazyConnect }), options: {} })).toThrow(/no effect on a given client/);
    expect(make({ client: new Redis({ lazyConnect, readOnly: true }) })).toThrow(/reads from replicas/);
    expect(make({ client: new Redis({ lazyConnect, role: 'slave' }) })).toThrow(/reads from replicas/);
    expect(make({ client: new Cluster(NODES, { lazyConnect, scaleReads: 'slave' }) })).toThrow(
      /reads from replicas/,
    );
  });

  test('do not compile in a mixture, or where RedisBackend decides', () => {
    type Takes<T> = T extends RedisBackendOptions ? true : false;

    expectTypeOf<Takes<{ url: string; options: { tls: object } }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ client: Redis; namespace: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ client: Cluster }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ url: string; nodes: [] }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ url: string; client: Redis }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ client: Redis; options: object }>>().toEqualTypeOf<false>();
    expectTypeOf<
      Takes<{ nodes: []; options: { redisOptions: { connectTimeout: string } } }>
    >().toEqualTypeOf<false>();
  });
});

describeOn('redis process', 'a RedisBackend over TLS', () => {
  test('works with the certificate and a password, and fails without either', async () => {
    const { server, ca } = await startRedisWithTls();
    const at = (user: string) => `rediss://${user}127.0.0.1:${server.port}`;

    await expect(use({ url: at(':secret@'), options: { tls: { ca } } })).resolves.toBeUndefined();
    await expect(use({ url: at(':secret@') })).rejects.toThrow(/self-signed certificate/);
    await expect(use({ url: at(''), options: { tls: { ca } } })).rejects.toThrow(/NOAUTH/);
    await expect(use({ url: at(''), options: { tls: { ca } } })).rejects.toBeInstanceOf(
      BackendUnavailableError,
    );
  });

  async function use(options: RedisBackendOptions): Promise<void> {
    const backend = new RedisBackend(options);
    onTestFinished(() => backend.close());
    await backend.open();
    await backend.set('key', Buffer.from('x'), 1_000);
  }

  async function startRedisWithTls() {
    const folder = await makeTempFolder('tls');
    onTestFinished(() => removeTempFolder(folder));
    // Copied, since the server runs as another user than the tests.
    const [key, ca] = await Promise.all(['server.key.pem', 'server.cert.pem'].map(readCertificate));
    await writeTempFile(folder, 'key.pem', key ?? '');
    await writeTempFile(folder, 'cert.pem', ca ?? '');
    const server = await launchRedis(inject('redisProgram'), ({ port }) => ({
      port: '0',
      'tls-port': String(port),
      'tls-cert-file': join(folder, 'cert.pem'),
      'tls-key-file': join(folder, 'key.pem'),
      'tls-auth-clients': 'no',
      requirepass: 'secret',
    }));
    onTestFinished(() => server.stop());
    return { server, ca };
  }
});

/** Self-signed for 127.0.0.1, for a hundred years, and of no use to anybody else. */
function readCertificate(name: string): Promise<string> {
  return readFile(join('test/backends/certificate', name), 'utf8');
}
