import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { MongoClient, type MongoClientOptions } from 'mongodb';
import { CachekitConfigError } from 'nestjs-cachekit';
import { MongoDBBackend, type MongoDBBackendOptions } from 'nestjs-cachekit/mongodb';
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { untilUp } from '../connection/until-up.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { startMongodb } from '../servers/mongodb.server.js';
import type { ServerProcess } from '../servers/server-process.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('mongodb process', 'the connection of MongoDBBackend', () => {
  let server: ServerProcess;
  /** Another app, on the same MongoDB. */
  let other: MongoClient;
  const database = `db-${randomUUID().slice(0, 8)}`;
  beforeAll(async () => {
    server = await startMongodb();
    other = await new MongoClient(server.url).connect();
  });
  afterAll(async () => {
    await other.db(database).dropDatabase();
    await other.close();
    await server.stop();
  });

  test('rejects operations while it is away without asking the driver, and keeps none of them for later', async () => {
    const proxy = await proxyTo(server.port);
    const namespace = `t-${randomUUID()}`;
    // The driver itself would wait as long as this.
    const url = `${at(proxy)}/?serverSelectionTimeoutMS=600000`;
    const backend = make({ url, namespace });
    await backend.open();
    await proxy.takeDown();
    await expect.poll(() => backend.get('key').catch(String)).toContain('no connection');
    for (let count = 0; count < 20; count++) await failureOf(backend.set('lost', BYTES, MINUTE_MS));
    await proxy.bringUp();
    await untilUp(backend);

    expect(await backend.get('lost')).toBeUndefined();
  });

  test('rejects operations through a client of the app without waiting as long as it would', async () => {
    const proxy = await proxyTo(server.port);
    const client = makeClient(at(proxy), { serverSelectionTimeoutMS: 600_000, heartbeatFrequencyMS: 500 });
    const backend = make({ client });
    await backend.open();
    await proxy.takeDown();
    // Those under way are the driver's, which waits; the ones that come after it knows are not.
    void backend.get('key').catch(() => undefined);
    await expect
      .poll(() => settledAtOnce(backend.get('key')))
      .toMatch(/no connection to the given client of 127/);
    await proxy.bringUp();
    await untilUp(backend);
  });

  test('tells a wrong password from an absent server, without any password', async () => {
    const { url } = await startWithUsers();
    const backend = make({ url: url('somebody', 'p%40ssw0rd') });
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
    const failures = [await failureOf(backend.open()), await failureOf(backend.get('key'))];

    for (const failure of failures) {
      expect(failure.message).toMatch(/\(Authentication failed\.\)\. Check user, password and authSource/);
      expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(/p@ssw0rd|p%40ssw0rd/);
    }
    expect(inspect(backend, { depth: 9, showHidden: true })).not.toContain('ssw0rd');
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  test('works with user and password in the url or in the options, and not without', async () => {
    const { url, user, password, place } = await startWithUsers();
    const auth = { username: user, password };

    expect(await make({ url: url(user, password) }).set('key', BYTES, MINUTE_MS)).toBeDefined();
    expect(await make({ url: place, options: { auth } }).set('key', BYTES, MINUTE_MS)).toBeDefined();
    expect((await failureOf(make({ url: place }).open())).message).toMatch(/requires authentication/);
  });

  test('says what a user may not do, and to whom to turn', async () => {
    const { url, reader, password } = await startWithUsers();
    const [ready, bare] = [anyName(), anyName()];
    await make({ collection: ready }).open();
    const backend = make({ url: url(reader, password), database, collection: ready });

    const failure = await failureOf(backend.set('key', Buffer.from('a value of somebody'), MINUTE_MS));
    expect(failure.message).toMatch(/refused a command: .*Grant the user the role "readWrite"/s);
    expect(inspect(failure, { depth: 9 })).not.toMatch(/a value of somebody|password/);
    expect(await backend.get('key')).toBeUndefined();
    await expect(make({ url: url(reader, password), database, collection: bare }).open()).rejects.toThrow(
      /may not create the index of .*createIndex\(\{ expiresAt: 1 \}, \{ expireAfterSeconds: 0 \}\)/s,
    );
  });

  // DocumentDB refuses collations, as the closing table says.
  if (!inject('mongodbProgram').server.includes('not mongod')) {
    test('is refused to a collection under whose collation different keys are equal', async () => {
      const name = anyName();
      await other.db(database).createCollection(name, { collation: { locale: 'en', strength: 2 } });

      await expect(make({ collection: name }).open()).rejects.toBeInstanceOf(CachekitConfigError);
      await expect(make({ collection: name }).open()).rejects.toThrow(`${database}.${name} has a collation`);
    });
  }

  test('is refused to a collection with another index on "expiresAt", until that is gone', async () => {
    const name = anyName();
    const collection = other.db(database).collection(name);
    await collection.createIndex({ expiresAt: 1 }, { expireAfterSeconds: 3_600 });
    const backend = make({ collection: name });

    await expect(backend.open()).rejects.toBeInstanceOf(CachekitConfigError);
    await expect(backend.get('key')).rejects.toThrow(`${database}.${name} has another index on "expiresAt"`);
    await collection.drop();
    await untilUp(backend);
  });

  test('makes its index anew when the server comes back without its data', async () => {
    const name = anyName();
    const proxy = await proxyTo(server.port);
    const backend = make({ url: `${at(proxy)}/${database}`, collection: name });
    await backend.open();
    await proxy.takeDown();
    await expect.poll(() => backend.get('key').catch(String)).toContain('no connection');
    await other.db(database).dropCollection(name);
    await proxy.bringUp();
    await untilUp(backend);

    expect(await other.db(database).collection(name).indexes()).toContainEqual(
      expect.objectContaining({ key: { expiresAt: 1 }, expireAfterSeconds: 0 }),
    );
  });

  test.each(['set', 'insert'])(
    'reports a %s of its own as one, which the client of the app sent again since the answer was lost',
    async (kind) => {
      const proxy = await proxyTo(server.port);
      const client = makeClient(at(proxy), { retryWrites: true });
      const backend = make({ client });
      const seen = kind === 'set' ? (await backend.set('key', BYTES, MINUTE_MS)).version : undefined;
      await backend.get('key');
      proxy.cutAnswerAfter(0, 'rst');
      const written = await backend.replace('key', seen, Buffer.from('y'), MINUTE_MS);

      expect(written).toBeDefined();
      await expect.poll(() => backend.get('key').catch(String)).toEqual(written);
    },
  );

  test('cuts off a command that gets no answer, while others do', async () => {
    const proxy = await proxyTo(server.port);
    const backend = make({ url: `${at(proxy)}/?socketTimeoutMS=50` });
    // A busy server may take longer to make the index.
    await untilUp(backend);
    proxy.stall();
    const failure = await failureOf(backend.get('key'));
    proxy.pass();

    expect(failure.message).toMatch(/was not answered: connection .* timed out.*may still have taken effect/);
    await untilUp(backend);
  });

  test('refuses what the package refuses, without the url', async () => {
    const backend = make({ url: 'mongodb://somebody:p%40ssw0rd@localhost/?noSuchOption=1' });
    const failure = await backend.open().catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(CachekitConfigError);
    expect(String(failure)).toMatch(/refuses the url or the options: .*nosuchoption/i);
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('ssw0rd');
  });

  test('over a client that could not connect at first is made once it can', async () => {
    const proxy = await proxyTo(server.port);
    await proxy.takeDown();
    const client = makeClient(at(proxy), { serverSelectionTimeoutMS: 300 });
    await expect(client.connect()).rejects.toThrow();
    const backend = make({ client });

    // The driver says why only if it was told so before its time is up.
    await expect.poll(async () => (await failureOf(backend.open())).message).toContain('ECONNREFUSED');
    await proxy.bringUp();
    await untilUp(backend);
  });

  function make(options: MongoDBBackendOptions = {}): MongoDBBackend {
    const isBorrowed = options.client !== undefined;
    const place = isBorrowed || options.url !== undefined ? {} : { url: server.url, database };
    const all = { namespace: `t-${randomUUID()}`, ...place, ...options } as MongoDBBackendOptions;
    const backend = new MongoDBBackend(all);
    onTestFinished(() => backend.close());
    return backend;
  }

  function makeClient(url: string, options: MongoClientOptions = {}): MongoClient {
    const client = new MongoClient(url, options);
    onTestFinished(() => client.close());
    return client;
  }

  function anyName(): string {
    return `cache-${randomUUID().slice(0, 8)}`;
  }

  /** A MongoDB that asks for a login, with a user who may do everything and one who may only read. */
  async function startWithUsers() {
    const strict = await startMongodb(['--auth']);
    onTestFinished(() => strict.stop());
    const [user, reader, password] = [`writer${anyNumber()}`, `reader${anyNumber()}`, 'Pa.ssword1'];
    const url = (name: string, secret: string) => strict.url.replace('//', `//${name}:${secret}@`);
    const roles = (...names: string[]) => names.map((role) => ({ role, db: 'admin' }));
    const first = makeClient(strict.url).db('admin');
    await first.command({
      createUser: user,
      pwd: password,
      roles: roles('readWriteAnyDatabase', 'clusterAdmin'),
    });
    await first.command({ createUser: reader, pwd: password, roles: roles('readAnyDatabase') });
    return { url, user, reader, password, place: strict.url };
  }
});

function at(proxy: FaultProxy): string {
  return `mongodb://127.0.0.1:${proxy.port}`;
}

function anyNumber(): string {
  return randomUUID().replaceAll('-', '').slice(0, 12);
}

/** What it rejected with, if it did without waiting for anything. */
async function settledAtOnce(operation: Promise<unknown>): Promise<string> {
  const turns = new Promise((resolve) => setImmediate(resolve, 'it waits'));
  return String(await Promise.race([operation.catch(String), turns]));
}
