import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest';
import { MemcachedBackend, type MemcachedBackendOptions } from 'nestjs-cachekit/memcached';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { untilUp } from '../connection/until-up.js';
import { portOf, throughPort } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { startMemcachedWithLogin } from '../servers/memcached-sasl.server.js';
import { startMemcached } from '../servers/memcached.server.js';
import type { ServerProcess } from '../servers/server-process.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('memcached process', 'the connection of MemcachedBackend', () => {
  test('fails to open when who listens does not speak the binary protocol', async () => {
    const ascii = await startMemcached(['-B', 'ascii']);
    onTestFinished(() => ascii.stop());
    const failure = await failureOf(make({ url: ascii.url }).open());

    expect(failure.message).toMatch(/no connection to 127\.0\.0\.1:\d+ \(.*binary protocol/);
  });
});

describeOn('memcached', 'the connection of MemcachedBackend', () => {
  test('is replaced when memcached stays silent on it', async () => {
    const url = inject('memcachedUrl');
    const proxy = await proxyTo(portOf(url));
    const backend = make({ url: throughPort(url, proxy.port) });
    await backend.open();
    proxy.blackhole();
    const failure = await failureOf(backend.get('key'));
    proxy.pass();

    expect(failure).toMatchObject({ name: 'BackendTimeoutError' });
    expect(failure.message).toContain('no answer from');
    await untilUp(backend);
  });

  test('works with a user where memcached asks for none', async () => {
    const backend = make({ url: inject('memcachedUrl'), username: 'somebody', password: 'secret' });

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });
});

describeOn('memcached sasl', 'a MemcachedBackend on a server that asks for a user', () => {
  const PASSWORD = 'p@ss:w#rd/% ';
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startMemcachedWithLogin('somebody', PASSWORD);
  });
  afterAll(() => server.stop());

  test('works with user and password, in the url or beside it', async () => {
    const url = `memcached://somebody:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}`;
    const inUrl = make({ url });
    const beside = make({ url: server.url, username: 'somebody', password: PASSWORD });

    expect(await inUrl.set('key', BYTES, MINUTE_MS)).toBeDefined();
    expect(await beside.set('key', BYTES, MINUTE_MS)).toBeDefined();
    await server.restart();
    await untilUp(inUrl);
  });

  test('tells a wrong password from an absent server, without any password', async () => {
    const backend = make({ url: `memcached://somebody:wr%40ng@127.0.0.1:${server.port}` });
    const failures = [await failureOf(backend.open()), await failureOf(backend.get('key'))];

    for (const failure of failures) {
      expect(failure.message).toContain(`127.0.0.1:${server.port} (it refused the user or the password`);
      expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(/somebody|wr@ng|wr%40ng/);
    }
    expect(inspect(backend, { depth: 9, showHidden: true })).not.toMatch(/wr@ng|wr%40ng/);
  });

  test('says that a user is missing, also where the environment has one', async () => {
    vi.stubEnv('MEMCACHIER_USERNAME', 'somebody');
    vi.stubEnv('MEMCACHIER_PASSWORD', PASSWORD);
    onTestFinished(() => void vi.unstubAllEnvs());
    const failure = await failureOf(make({ url: server.url }).open());

    expect(failure.message).toContain('it asks for a user and a password (SASL), and none is given');
  });
});

function make(options: MemcachedBackendOptions): MemcachedBackend {
  const backend = new MemcachedBackend({ namespace: `t-${randomUUID()}`, ...options });
  onTestFinished(() => backend.close());
  return backend;
}
