import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
} from '@aws-sdk/client-dynamodb';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { CachekitConfigError, CacheService, EntryTooLargeError } from 'nestjs-cachekit';
import { DynamoDBBackend, type DynamoDBBackendOptions } from 'nestjs-cachekit/dynamodb';
import { failureOf } from '../connection/failure-of.js';
import { proxyTo } from '../connection/proxy-to.js';
import { FaultProxy } from '../faults/fault-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { dynamodbAt, startDynamodb } from '../servers/dynamodb.server.js';
import type { ServerProcess } from '../servers/server-process.js';
import { until } from '../servers/until.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('x');

describeOn('dynamodb process', 'the connection of DynamoDBBackend', () => {
  let server: ServerProcess;
  /** Another app, on the same DynamoDB. */
  let other: DynamoDBClient;
  beforeAll(async () => {
    server = await startDynamodb(['--maxItemSizeKb=300']);
    other = new DynamoDBClient({ ...dynamodbAt(server.url), maxAttempts: 10 });
  });
  afterAll(async () => {
    other.destroy();
    await server.stop();
  });

  test('creates the table once, billed on demand, whoever needs it at the same time', async () => {
    const table = newTable();
    const backends = Array.from({ length: 4 }, () => make({ table, createTable: true }));
    const writes = backends.flatMap((backend, index) => [
      backend.open(),
      backend.set(`a${index}`, BYTES, MINUTE_MS),
      backend.replace(`b${index}`, undefined, BYTES, MINUTE_MS),
    ]);
    await Promise.all(writes);

    const { Table } = await other.send(new DescribeTableCommand({ TableName: table }));
    expect(Table?.BillingModeSummary?.BillingMode).toBe('PAY_PER_REQUEST');
    expect(Table?.KeySchema).toEqual([
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ]);
  });

  test('creates the table again when somebody drops it', async () => {
    const table = newTable();
    const backend = make({ table, createTable: true });
    await backend.set('key', BYTES, MINUTE_MS);
    await other.send(new DeleteTableCommand({ TableName: table }));

    await until(
      'the table is empty',
      async () => (await backend.get('key').catch(() => BYTES)) === undefined,
    );
    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  test('says which table is missing, and what to do', async () => {
    const table = newTable();
    const backend = make({ table });
    const failures = [await failureOf(backend.open()), await failureOf(backend.clear())];

    for (const { message } of failures) {
      expect(message).toContain(`there is no table "${table}" in us-east-1 at ${server.url}`);
      expect(message).toContain('{ createTable: true }');
    }
  });

  test('works with a table that is made while it waits for one, without being opened again', async () => {
    const table = newTable();
    const backend = make({ table });
    const cache = new CacheService(backend);
    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
    await createTable(table, 'pk', 'sk');

    await expect.poll(() => backend.get('key').catch(String)).toBeUndefined();
    await cache.set('key', 'stored');
    expect(await cache.get('key')).toBe('stored');
  });

  test('says that a table has other keys', async () => {
    const table = newTable();
    await createTable(table, 'id', undefined);
    const backend = make({ table });
    const wrong = (operation: () => Promise<unknown>) =>
      expect.poll(async () => (await failureOf(operation())).message).toMatch(/has other keys.*"pk".*"sk"/);

    await wrong(() => backend.open());
    await wrong(() => backend.set('key', BYTES, MINUTE_MS));
    await wrong(() => backend.getMany(['key']));
    await wrong(() => backend.delete(['key']));
    await wrong(() => backend.clear());
  });

  test('tells an entry that the server finds too large, and keeps what was there', async () => {
    const backend = make({ createTable: true });
    const { version } = await backend.set('key', BYTES, MINUTE_MS);
    const tooLarge = new Uint8Array(350_000);

    await expect(backend.set('key', tooLarge, MINUTE_MS)).rejects.toThrow(EntryTooLargeError);
    await expect(backend.replace('key', version, tooLarge, MINUTE_MS)).rejects.toThrow(/the entry "key"/);
    expect((await backend.get('key'))?.version).toBe(version);
  });

  test('drops the sockets that wait for work once one was silent', async () => {
    const proxy = await proxyTo(server.port);
    const backend = make({ ...dynamodbAt(urlOf(proxy)), createTable: true });
    await backend.open();
    await Promise.all(Array.from({ length: 20 }, (_, index) => backend.get(`key${index}`)));
    proxy.blackhole();
    await failureOf(backend.get('key'));
    proxy.pass();

    // Nineteen more of them are lost for good, and nobody has noticed.
    expect(await backend.get('key')).toBeUndefined();
  });

  test('over a client of the app that has no limit ends what is under way when it is closed', async () => {
    const proxy = await proxyTo(server.port);
    const backend = make({ client: makeClient(dynamodbAt(urlOf(proxy))), createTable: true });
    await backend.open();
    proxy.blackhole();
    const pending = failureOf(backend.get('key'));
    await backend.close();

    expect((await pending).message).toContain('closed');
  });

  test('over a client of the app that has no limit gives up by itself', async () => {
    const proxy = await proxyTo(server.port);
    const backend = make({ client: makeClient(dynamodbAt(urlOf(proxy))), createTable: true });
    await backend.open();
    proxy.blackhole();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const pending = failureOf(backend.get('key'));
    await vi.advanceTimersByTimeAsync(10_000);

    expect((await pending).message).toMatch(/no answer from.*\(given client\)/);
  });

  function make(options: DynamoDBBackendOptions): DynamoDBBackend {
    const place = options.client ? {} : dynamodbAt(server.url);
    const backend = new DynamoDBBackend({ namespace: `t-${randomUUID()}`, ...place, ...options });
    onTestFinished(() => backend.close());
    return backend;
  }

  function makeClient(config: DynamoDBClientConfig): DynamoDBClient {
    const client = new DynamoDBClient({ ...dynamodbAt(server.url), ...config });
    onTestFinished(() => client.destroy());
    return client;
  }

  async function createTable(table: string, partition: string, sort: string | undefined): Promise<void> {
    const names = [partition, ...(sort === undefined ? [] : [sort])];
    await other.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: names.map((name) => ({ AttributeName: name, AttributeType: 'S' })),
        KeySchema: names.map((name, index) => ({
          AttributeName: name,
          KeyType: index === 0 ? 'HASH' : 'RANGE',
        })),
      }),
    );
  }
});

describe('a DynamoDBBackend in an environment without AWS', () => {
  test('says that the region is missing, at the start of the app', async () => {
    withoutAws();
    const backend = new DynamoDBBackend({ credentials: { accessKeyId: 'x', secretAccessKey: 'y' } });
    onTestFinished(() => backend.close());

    await expect(backend.open()).rejects.toThrow(CachekitConfigError);
    await expect(backend.get('key')).rejects.toThrow(/DynamoDBBackend: no region.*Give `region`/);
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    await expect(backend.get('key')).rejects.not.toThrow(/no region/);
  });

  test('says that the credentials are missing', async () => {
    withoutAws();
    const backend = new DynamoDBBackend({ region: 'eu-west-1', endpoint: 'http://127.0.0.1:1' });
    onTestFinished(() => backend.close());

    expect((await failureOf(backend.open())).message).toMatch(
      /no credentials for table "cachekit" in eu-west-1.*Give `credentials`/,
    );
  });

  function withoutAws(): void {
    onTestFinished(() => void vi.unstubAllEnvs());
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE', 'AWS_ACCESS_KEY_ID']) {
      vi.stubEnv(name, undefined);
    }
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    // It would ask a machine that only exists in Amazon's data centres.
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  }
});

const motoUrl = inject('motoUrl');
if (motoUrl !== undefined) {
  test('a DynamoDBBackend on moto_server sets the time-to-live attribute of the table that it creates', async () => {
    const place = dynamodbAt(motoUrl);
    const table = newTable();
    const backends = [1, 2].map(() => new DynamoDBBackend({ ...place, table, createTable: true }));
    await Promise.all(backends.map((backend) => backend.set('key', BYTES, MINUTE_MS)));
    await Promise.all(backends.map((backend) => backend.close()));
    const client = new DynamoDBClient(place);
    onTestFinished(() => client.destroy());

    const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName: table }));
    expect(TimeToLiveDescription).toEqual({ AttributeName: 'expiresAt', TimeToLiveStatus: 'ENABLED' });
  });
}

function newTable(): string {
  return `t-${randomUUID()}`;
}

function urlOf(proxy: FaultProxy): string {
  return `http://127.0.0.1:${proxy.port}`;
}
