import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { FirestoreBackend, type FirestoreBackendOptions } from 'nestjs-cachekit/firestore';
import { endAfterReads } from '../connection/end-after-reads.js';
import { useFakeSeconds, whileTimePasses } from '../connection/fake-seconds.js';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { untilUp } from '../connection/until-up.js';
import { portOf } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { clientOf } from '../servers/firestore.server.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('firestore', 'the connection of FirestoreBackend', () => {
  test('is not looked for with credentials on an emulator', async () => {
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', '/no/such/key.json');
    onTestFinished(() => void vi.unstubAllEnvs());
    const backend = make({ emulatorHost: inject('firestoreHost') });

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('is that of the environment variable of emulators', async () => {
    vi.stubEnv('FIRESTORE_EMULATOR_HOST', inject('firestoreHost'));
    onTestFinished(() => void vi.unstubAllEnvs());
    const backend = make({ projectId: 'demo-another' });
    await backend.set('key', BYTES, MINUTE_MS);

    expect(await backend.get('key')).toBeDefined();
    expect(await make({ projectId: 'demo-third' }).get('key')).toBeUndefined();
  });

  test('over a client of the app rejects while nobody answers, and works again once the client does', async () => {
    const seconds = useFakeSeconds();
    const proxy = await proxyTo(portOf(inject('firestoreHost')));
    const client = clientOf(`127.0.0.1:${proxy.port}`);
    const end = endAfterReads(client);
    onTestFinished(() => whileTimePasses(end()));
    const backend = make({ client });
    await backend.open();
    proxy.blackhole();
    const failing = [failureOf(backend.get('key')), failureOf(backend.set('key', BYTES, MINUTE_MS))];
    await seconds.pass(6);
    const failures = await Promise.all(failing);
    proxy.pass();
    proxy.cut('rst');
    await untilUp(backend, seconds);

    for (const failure of failures) {
      expect(failure.message).toMatch(
        /the database "\(default\)" of the given client .*no answer for 5000 ms/,
      );
    }
    await backend.close();
    expect((await client.doc('a/b').get()).exists).toBe(false);
  });
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
    const failure = await afterFakeSeconds(() => failureOf(backend.get('key')));

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
    const failure = await afterFakeSeconds(() => failureOf(backend.open()));

    expect(failure.message).toContain('no answer within 5000 ms');
    expect(place.heard()).not.toMatch(/authorization|Bearer/i);
  });
});

/** Settles as the operation does, for which no time passes. */
async function afterFakeSeconds<T>(operate: () => Promise<T>): Promise<T> {
  const seconds = useFakeSeconds();
  const running = operate();
  await seconds.pass(6);
  return running;
}

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
