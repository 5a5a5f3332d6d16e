import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { MemcachedBackend, type MemcachedBackendOptions } from 'nestjs-cachekit/memcached';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { startMemcachedWithLogin } from '../servers/memcached-sasl.server.js';
import { startMemcached } from '../servers/memcached.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';
import { watchResources } from './watch-resources.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('memcached process', 'the connection of MemcachedBackend', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server.stop());

  test('is made by the first operation', async () => {
    const backend = make({ url: server.url });

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('is made once, whatever opens it at the same time', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await Promise.all([backend.open(), backend.get('key'), backend.open(), backend.get('key')]);
    await backend.open();

    expect(proxy.openConnections).toBe(1);
  });

  test('fails with address and reason when nobody listens, and is made once somebody does', async () => {
    const proxy = await makeProxy(server.port);
    await proxy.takeDown();
    const backend = make(urlOf(proxy));
    const failure = await failureOf(backend.open());

    expect(failure.message).toContain(`127.0.0.1:${proxy.port} (connect ECONNREFUSED`);
    expect(failure.cause).toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.bringUp();
    await untilUp(backend);
  });

  test('fails to open when who listens does not speak the binary protocol', async () => {
    const ascii = await startMemcached(['-B', 'ascii']);
    onTestFinished(() => ascii.stop());
    const failure = await failureOf(make({ url: ascii.url }).open());

    expect(failure.message).toMatch(/no connection to 127\.0\.0\.1:\d+ \(.*binary protocol/);
  });

  test('lets the operations wait that come while it is made for the first time, and fails them with it', async () => {
    const proxy = await makeProxy(server.port);
    await proxy.takeDown();
    const backend = make(urlOf(proxy));
    const results = await Promise.allSettled([backend.get('a'), backend.getMany(['a']), backend.clear()]);

    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(BackendUnavailableError) });
    }
  });

  test('rejects operations at once while it is away, and keeps none of them for later', async () => {
    const proxy = await makeProxy(server.port);
    const namespace = `t-${randomUUID()}`;
    const backend = make({ ...urlOf(proxy), namespace });
    await backend.open();
    await proxy.takeDown();
    // An operation that waited for its turn would still be pending after this many.
    for (let count = 0; count < 20; count++) await failureOf(backend.set('lost', BYTES, MINUTE_MS));
    await proxy.bringUp();
    await untilUp(backend);

    expect(await backend.get('lost')).toBeUndefined();
  });

  test.each(['rst', 'fin'] as const)('rejects the operations under way when it is cut by %s', async (how) => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await backend.open();
    proxy.stall();
    const pending = [backend.get('key'), backend.set('key', BYTES, MINUTE_MS), backend.clear()].map(
      failureOf,
    );
    proxy.cut(how);

    for (const failure of await Promise.all(pending)) {
      expect(failure.message).toMatch(
        /was not answered: (.*ECONNRESET|the server has closed the connection)/,
      );
    }
    proxy.pass();
    await untilUp(backend);
  });

  test('is replaced when memcached stays silent on it', async () => {
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await backend.open();
    proxy.blackhole();
    const failure = await failureOf(backend.get('key'));
    proxy.pass();

    expect(failure).toMatchObject({ name: 'BackendTimeoutError' });
    expect(failure.message).toContain('no answer from');
    await untilUp(backend);
  });

  test('leaves nothing behind when it is closed: while it is up, away, or being made', async () => {
    const watch = watchResources();
    const up = make({ url: server.url });
    await up.open();
    const away = make({ url: '127.0.0.1:1' });
    await failureOf(away.open());
    const opening = make({ url: server.url });
    const opened = failureOf(opening.open());
    await Promise.all([up.close(), away.close(), opening.close()]);

    expect((await opened).message).toContain('closed');
    await expect.poll(() => watch.left()).toEqual([]);
  });

  test('lets the operations finish that came before close', async () => {
    const namespace = `t-${randomUUID()}`;
    const backend = make({ url: server.url, namespace });
    await backend.set('large', Buffer.alloc(1_000_000), MINUTE_MS);
    const other = make({ url: server.url, namespace });
    await other.clear();
    // Each of them takes more than one request: the generation that this backend knows is over.
    const written = [
      backend.set('a', BYTES, MINUTE_MS),
      backend.replace('large', undefined, BYTES, MINUTE_MS),
    ];
    await backend.close();

    for (const each of await Promise.all(written)) expect(each).toBeDefined();
    expect(await other.getMany(['a', 'large'])).not.toContain(undefined);
  });

  test('stays closed until it is opened again', async () => {
    const backend = make({ url: server.url });
    await backend.set('key', BYTES, MINUTE_MS);
    await backend.close();
    await backend.close();
    const failure = await failureOf(backend.get('key'));
    await backend.open();

    expect(failure.message).toContain('open()');
    expect(await backend.get('key')).toBeDefined();
  });

  test('obeys the last of open and close that was called', async () => {
    const backend = make({ url: server.url });
    const overtaken = [failureOf(backend.open())];
    void backend.close();
    overtaken.push(failureOf(backend.open()));
    void backend.close();
    await backend.open();

    for (const failure of await Promise.all(overtaken)) expect(failure.message).toContain('closed');
    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
    void backend.close();
    overtaken.push(failureOf(backend.open()));
    await backend.close();
    expect((await failureOf(backend.get('key'))).message).toContain('closed');
  });

  test('prints nothing, whatever happens to it', async () => {
    const printed = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
    onTestFinished(() => void vi.restoreAllMocks());
    const proxy = await makeProxy(server.port);
    const backend = make(urlOf(proxy));
    await backend.open();
    await proxy.takeDown();
    await failureOf(backend.get('key'));

    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  });

  test('works with a user where memcached asks for none', async () => {
    const backend = make({ url: server.url, username: 'somebody', password: 'secret' });

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

async function makeProxy(port: number): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(port);
  onTestFinished(() => proxy.takeDown());
  return proxy;
}

function urlOf(proxy: FaultProxy): { url: string } {
  return { url: `memcached://127.0.0.1:${proxy.port}` };
}

async function failureOf(operation: Promise<unknown>): Promise<BackendUnavailableError> {
  const failure = await operation.then(
    () => 'it worked',
    (error: unknown) => error,
  );
  if (failure instanceof BackendUnavailableError) return failure;
  throw new Error(`Not a BackendUnavailableError: ${inspect(failure)}`);
}

function untilUp(backend: MemcachedBackend): Promise<void> {
  return until('the backend is up again', () =>
    backend.get('key').then(
      () => true,
      () => false,
    ),
  );
}
