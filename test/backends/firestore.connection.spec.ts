import { Firestore } from '@google-cloud/firestore';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { BackendUnavailableError } from 'nestjs-cachekit';
import { FirestoreBackend, type FirestoreBackendOptions } from 'nestjs-cachekit/firestore';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { clientOf, startFirestore } from '../servers/firestore.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';
import { watchResources } from './watch-resources.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('firestore process', 'the connection of FirestoreBackend', () => {
  let server: ServerProcess;
  /** Another app, on the same emulator. */
  let other: Firestore;
  beforeAll(async () => {
    server = await startFirestore();
    other = clientOf(server.url);
  });
  afterAll(async () => {
    await other.terminate();
    await server.stop();
  });

  test('is made once, whatever opens it at the same time', async () => {
    const proxy = await makeProxy();
    const backend = make(hostOf(proxy));
    await Promise.all([backend.open(), backend.get('key'), backend.open(), backend.clear()]);
    await backend.open();

    expect(proxy.openConnections).toBe(1);
  });

  test('fails with project, address and reason when nobody listens, and is made once somebody does', async () => {
    const proxy = await makeProxy();
    await proxy.takeDown();
    const backend = make(hostOf(proxy));
    const failure = await failureOf(backend.open());

    expect(failure.message).toMatch(
      /"\(default\)" of the project "demo-cachekit" of the emulator at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED/,
    );
    expect(failure.cause).toMatchObject({ code: 14 });
    await proxy.bringUp();
    await untilUp(backend);
  });

  test('rejects operations at once while it is away, and sends none of them later', async () => {
    const proxy = await makeProxy();
    const namespace = `t-${randomUUID()}`;
    const backend = make({ ...hostOf(proxy), namespace });
    await backend.open();
    await proxy.takeDown();
    // An operation that waited for its turn would still be pending after this many.
    for (let count = 0; count < 20; count++) await failureOf(backend.set('lost', BYTES, MINUTE_MS));
    await proxy.bringUp();
    await untilUp(backend);

    expect(await backend.get('lost')).toBeUndefined();
    expect((await other.collection(`cachekit/${namespace}/cachekit`).get()).empty).toBe(true);
  });

  test('of two backends on one server is broken alone', async () => {
    const proxy = await makeProxy();
    const [first, second] = [make(hostOf(proxy)), make(hostOf(proxy))];
    await first.open();
    await second.open();

    expect(proxy.openConnections).toBe(2);
    await first.close();
    expect(await second.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('is not looked for with credentials on an emulator', async () => {
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', '/no/such/key.json');
    onTestFinished(() => void vi.unstubAllEnvs());
    const backend = make({ emulatorHost: server.url });

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('is that of the environment variable of emulators', async () => {
    vi.stubEnv('FIRESTORE_EMULATOR_HOST', server.url);
    onTestFinished(() => void vi.unstubAllEnvs());
    const backend = make({ projectId: 'demo-another' });
    await backend.set('key', BYTES, MINUTE_MS);

    expect(await backend.get('key')).toBeDefined();
    expect(await make({ projectId: 'demo-third' }).get('key')).toBeUndefined();
  });

  test('lets the operations finish that came before close', async () => {
    const namespace = `t-${randomUUID()}`;
    const backend = make({ emulatorHost: server.url, namespace });
    await backend.set('large', Buffer.alloc(1_000_000), MINUTE_MS);
    const [found, written] = [backend.get('large'), backend.set('key', BYTES, MINUTE_MS)];
    await backend.close();

    expect((await found)?.bytes).toHaveLength(1_000_000);
    expect((await written).version).toBeDefined();
  });

  test('leaves nothing behind when it is closed: while it is up, away, or being made', async () => {
    const watch = watchResources();
    const up = make({ emulatorHost: server.url });
    await up.open();
    const away = make({ emulatorHost: '127.0.0.1:1' });
    await failureOf(away.open());
    const opening = make({ emulatorHost: server.url });
    const opened = failureOf(opening.open());
    await Promise.all([up.close(), away.close(), opening.close()]);

    expect((await opened).message).toContain('closed');
    // grpc-js lets its last wait before another attempt run out.
    await expect.poll(() => watch.left()).toEqual([]);
  });

  test('stays closed until it is opened again', async () => {
    const backend = make({ emulatorHost: server.url });
    await backend.set('key', BYTES, MINUTE_MS);
    await backend.close();
    await backend.close();
    const failure = await failureOf(backend.get('key'));
    await backend.open();

    expect(failure.message).toContain('open()');
    expect(await backend.get('key')).toBeDefined();
  });

  test('obeys the last of open and close that was called', async () => {
    const backend = make({ emulatorHost: server.url });
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

  test('over a client of the app rejects while nobody answers, and works again once the client does', async () => {
    const proxy = await makeProxy();
    const client = clientOf(hostOf(proxy).emulatorHost);
    onTestFinished(() => client.terminate());
    const backend = make({ client });
    await backend.open();
    proxy.blackhole();
    const failures = [
      await failureOf(backend.get('key')),
      await failureOf(backend.set('key', BYTES, MINUTE_MS)),
    ];
    proxy.pass();
    proxy.cut('rst');
    await untilUp(backend);

    for (const failure of failures) {
      expect(failure.message).toMatch(
        /the database "\(default\)" of the given client .*no answer for 5000 ms/,
      );
    }
    await backend.close();
    expect((await client.doc('a/b').get()).exists).toBe(false);
  });

  async function makeProxy(): Promise<FaultProxy> {
    const proxy = await FaultProxy.to(server.port);
    onTestFinished(() => proxy.takeDown());
    return proxy;
  }
});

describe('the credentials of FirestoreBackend', () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  beforeEach(() => void process.on('unhandledRejection', note));
  afterEach(() => {
    process.off('unhandledRejection', note);
    // The client itself would end the process by one.
    expect(unhandled.splice(0)).toEqual([]);
  });

  test('that are not there make an error that says so, and harm nobody', async () => {
    const backend = make({ projectId: 'demo', settings: { keyFilename: '/no/such/key.json' } });
    const failures = [await failureOf(backend.open()), await failureOf(backend.get('key'))];

    for (const failure of failures) {
      expect(failure.message).toMatch(
        /database "\(default\)" of the project "demo" .*\/no\/such\/key\.json.*Check/,
      );
    }
  });

  test('that can not be read make an error that does not tell them', async () => {
    const credentials = { client_email: 'somebody@example.com', private_key: 'the secret key' };
    const place = await silentPlace();
    const backend = make({ projectId: 'demo', settings: { credentials, ...place.at } });
    const failure = await failureOf(backend.get('key'));

    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('the secret key');
    expect(inspect(backend, { depth: 9, showHidden: true })).not.toContain('the secret key');
    expect(failure.message).toContain('no connection to the Firestore database');
  });

  test('are found before the first call, and sent to nobody without TLS', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const credentials = { client_email: 'somebody@example.com', private_key: key };
    const place = await silentPlace();
    const backend = make({ projectId: 'demo', settings: { credentials, ...place.at } });
    const failure = await failureOf(backend.open());

    expect(failure.message).toContain('no answer within 5000 ms');
    expect(place.heard()).not.toMatch(/authorization|Bearer/i);
  });
});

/** Somebody who takes connections and never says a word. */
async function silentPlace() {
  const heard: Buffer[] = [];
  const listener = createServer((socket) => {
    socket.on('data', (data) => heard.push(data));
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => {
    listener.listen(0, 'localhost', resolve);
  });
  onTestFinished(() => void listener.close());
  const address = listener.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { at: { servicePath: 'localhost', port }, heard: () => Buffer.concat(heard).toString('latin1') };
}

function make(options: FirestoreBackendOptions): FirestoreBackend {
  const backend = new FirestoreBackend({ namespace: `t-${randomUUID()}`, ...options });
  onTestFinished(() => backend.close());
  return backend;
}

function hostOf(proxy: FaultProxy): { emulatorHost: string } {
  return { emulatorHost: `127.0.0.1:${proxy.port}` };
}

async function failureOf(operation: Promise<unknown>): Promise<BackendUnavailableError> {
  const failure = await operation.then(
    () => 'it worked',
    (error: unknown) => error,
  );
  if (failure instanceof BackendUnavailableError) return failure;
  throw new Error(`Not a BackendUnavailableError: ${inspect(failure)}`);
}

function untilUp(backend: FirestoreBackend): Promise<void> {
  return until('the backend is up again', () =>
    backend.get('key').then(
      () => true,
      () => false,
    ),
  );
}
