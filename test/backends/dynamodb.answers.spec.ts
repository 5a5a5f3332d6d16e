import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { BackendTimeoutError, CacheService } from 'nestjs-cachekit';
import { DynamoDBBackend, type DynamoDBBackendOptions } from 'nestjs-cachekit/dynamodb';
import { failureOf } from '../connection/failure-of.js';
import { AnswerProxy, type HttpAnswer, type HttpQuestion, type OnRequest } from '../faults/answer-proxy.js';
import { describeOn } from '../servers/describe-on.js';
import { dynamodbAt } from '../servers/dynamodb.server.js';

const MINUTE_MS = 60_000;
const BYTES = Buffer.from('a value of somebody');
const TABLE = 'cachekit';
/** Longer than DynamoDB may be silent, and than `close` waits. */
const STANDSTILL_MS = 2_500;
const DONE: HttpAnswer = { status: 200, body: '{}' };

// What a real DynamoDB answers when it is busy, or guards its data, no imitation does: here a proxy puts it in.
describeOn('dynamodb', 'DynamoDBBackend', () => {
  beforeAll(async () => {
    const backend = new DynamoDBBackend({ ...dynamodbAt(inject('dynamodbUrl')), createTable: true });
    await backend.open();
    await backend.close();
  });

  test('asks for the latest of everything, scans nothing, and keeps to the size of batches', async () => {
    const { backend, proxy } = await makeBackend();
    const keys = Array.from({ length: 120 }, (_, index) => `key${index}`);
    const { version } = await backend.set('key0', BYTES, MINUTE_MS);
    await backend.replace('key0', version, BYTES, MINUTE_MS);
    await backend.get('key0');
    await backend.getMany([...keys, 'key0', 'key119']);
    await backend.delete([...keys, 'key0', 'key119']);
    await backend.clear();

    const operations = ['GetItem', 'BatchGetItem', 'PutItem', 'BatchWriteItem', 'Query'];
    expect(new Set(proxy.questions.map(operationOf))).toEqual(new Set(operations));
    const reads = proxy.questions.filter((question) => !isWrite(question));
    expect(reads.filter(({ body }) => !body.includes('"ConsistentRead":true'))).toEqual([]);
    expect(sizesOf(proxy, 'BatchGetItem')).toEqual([20, 100]);
    expect(sizesOf(proxy, 'BatchWriteItem')).toEqual([20, 25, 25, 25, 25]);
    expect(proxy.questions.filter((question) => operationOf(question) === 'Query')).toHaveLength(16);
  });

  test('asks once for those who want the same at once, and again for whoever comes later', async () => {
    const { backend, proxy } = await makeBackend();
    const [first, second] = await Promise.all([backend.get('key'), backend.get('key'), backend.get('other')]);
    const { version } = await backend.set('key', BYTES, MINUTE_MS);

    expect([first, second]).toEqual([undefined, undefined]);
    expect((await backend.get('key'))?.version).toBe(version);
    expect(proxy.questions.map(operationOf)).toEqual(['GetItem', 'GetItem', 'PutItem', 'GetItem']);
  });

  test('does not take a standstill of this process for silence', async () => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = answeredInAStandstill();

    expect(await backend.get('key')).toBeUndefined();
  });

  test('keeps what was answered while this process stood still, also when it is being closed', async () => {
    const { backend, proxy } = await makeBackend();
    const closings: Promise<void>[] = [];
    proxy.onRequest = answeredInAStandstill(() => closings.push(backend.close()));

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
    await Promise.all(closings);
    expect(closings).toHaveLength(1);
  });

  test('asks again for what a batch of reads left out', async () => {
    const { backend, proxy } = await makeBackend();
    const keys = Array.from({ length: 30 }, (_, index) => `key${index}`);
    await Promise.all(keys.map((key) => backend.set(key, Buffer.from(key), MINUTE_MS)));
    proxy.onRequest = halfOf('BatchGetItem');

    const found = await backend.getMany(keys);
    expect(found.map((one) => Buffer.from(one?.bytes ?? []).toString())).toEqual(keys);
    expect(sizesOf(proxy, 'BatchGetItem')).toEqual([1, 3, 7, 15, 30]);
  });

  test('removes also what a batch of writes left undone', async () => {
    const { backend, proxy } = await makeBackend();
    const keys = Array.from({ length: 20 }, (_, index) => `key${index}`);
    await Promise.all(keys.map((key) => backend.set(key, BYTES, MINUTE_MS)));
    await backend.set('other', BYTES, MINUTE_MS);
    proxy.onRequest = halfOf('BatchWriteItem');
    await backend.delete(keys);

    expect(await backend.getMany(keys)).toEqual(Array(20).fill(undefined));
    expect(sizesOf(proxy, 'BatchWriteItem').length).toBeGreaterThan(3);
    await backend.clear();
    expect(await backend.get('other')).toBeUndefined();
  });

  test('gives up a batch of which nothing is ever done', async () => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = async ({ body }) =>
      answer({ Responses: {}, UnprocessedKeys: JSON.parse(body).RequestItems });

    expect((await failureOf(backend.getMany(['a', 'b']))).message).toMatch(/time and again. It is throttled/);
    expect(proxy.questions).toHaveLength(7);
  });

  test.each(['ProvisionedThroughputExceededException', 'ThrottlingException', 'InternalServerError'])(
    'sends a request again after %s, three times at most',
    async (name) => {
      const { backend, proxy } = await makeBackend();
      proxy.onRequest = (_, forward) => (proxy.questions.length < 3 ? refusal(name, 'Slow down') : forward());

      expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
      expect(proxy.questions).toHaveLength(3);
      proxy.onRequest = () => refusal(name, 'Slow down');
      expect((await failureOf(backend.get('key'))).message).toContain(`refused: ${name}: Slow down`);
      expect(proxy.questions).toHaveLength(6);
    },
  );

  test('sends a request once more when its connection breaks', async () => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = async (_, forward) => (proxy.questions.length === 1 ? undefined : forward());

    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
    proxy.onRequest = async () => undefined;
    expect((await failureOf(backend.get('key'))).message).toContain('no connection to');
    expect(proxy.questions).toHaveLength(4);
  });

  test('sends nothing again that is not answered in time, since it may still arrive', async () => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = () => new Promise(() => undefined);
    const failure = await failureOf(backend.set('key', BYTES, MINUTE_MS));

    expect(failure).toBeInstanceOf(BackendTimeoutError);
    expect(failure.message).toContain('A write may still have taken effect.');
    expect(proxy.questions).toHaveLength(1);
  });

  test.each([
    ['with a client of its own', undefined],
    ['with a client of the app that tries again by itself', { maxAttempts: 3 }],
  ])('%s knows its own conditional write, when the answer to it was lost', async (_, config) => {
    const { backend, proxy } = await makeBackend(config);
    proxy.onRequest = loseFirstAnswer();
    const first = await backend.replace('key', undefined, BYTES, MINUTE_MS);
    proxy.onRequest = loseFirstAnswer();
    const second = await backend.replace('key', first?.version, BYTES, MINUTE_MS);

    expect(first).toBeDefined();
    expect((await backend.get('key'))?.version).toBe(second?.version);
    expect(proxy.questions.map(operationOf).filter((name) => name === 'PutItem')).toHaveLength(4);
  });

  test('reports a conditional write as lost when somebody wrote over it before its answer was lost', async () => {
    const { backend, proxy, namespace } = await makeBackend();
    const { backend: second } = await makeBackend(undefined, namespace);
    proxy.onRequest = loseFirstAnswer(
      async () => void (await second.set('key', Buffer.from('theirs'), MINUTE_MS)),
    );

    expect(await backend.replace('key', undefined, BYTES, MINUTE_MS)).toBeUndefined();
    expect(Buffer.from((await backend.get('key'))?.bytes ?? []).toString()).toBe('theirs');
  });

  test('tells a lost race without a second request', async () => {
    const { backend, proxy } = await makeBackend();
    await backend.set('key', BYTES, MINUTE_MS);

    expect(await backend.replace('key', undefined, BYTES, MINUTE_MS)).toBeUndefined();
    expect(proxy.questions).toHaveLength(2);
  });

  test.each([
    [
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
      /refused the credentials.*Check keys, region/,
    ],
    [
      'ExpiredTokenException',
      'The security token included in the request is expired',
      /refused the credentials/,
    ],
    [
      'InvalidSignatureException',
      "The signature does not match.\n\nThe Canonical String should have been\n'x-amz-security-token:tok3n'",
      /refused the credentials.*does not match\.\)/,
    ],
    [
      'AccessDeniedException',
      'User: arn:aws:iam::1:user/app is not authorized to perform: dynamodb:GetItem on resource: cachekit',
      /no permission on table "cachekit" in us-east-1.*dynamodb:GetItem on.*Allow dynamodb:GetItem, BatchGetItem/,
    ],
  ])('says what to do about %s, and no secret', async (name, message, said) => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = () => refusal(name, message);
    const failures = [
      await failureOf(backend.open()),
      await failureOf(backend.set('key', BYTES, MINUTE_MS)),
      await failureOf(backend.clear()),
    ];

    for (const failure of failures) {
      expect(failure.message).toMatch(said);
      expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(
        /tok3n|secret of|value of somebody/,
      );
    }
    expect(inspect(backend, { depth: 9, showHidden: true })).not.toContain('secret of');
  });

  test('repeats nothing of an answer that is not one of DynamoDB', async () => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = async () => ({ status: 200, body: 'somebody@example.org' });
    const failure = await failureOf(backend.get('key'));

    expect(failure.message).toContain('the answer is not one of DynamoDB');
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('somebody');
  });

  test('leaves it to a client of the app how often it tries', async () => {
    const { backend, proxy } = await makeBackend({ maxAttempts: 2 });
    proxy.onRequest = () => refusal('ThrottlingException', 'Slow down');
    await failureOf(backend.get('key'));

    expect(proxy.questions).toHaveLength(2);
  });

  test('lets an app go on that lacks the permission to read', async () => {
    const { backend, proxy } = await makeBackend();
    proxy.onRequest = () => refusal('AccessDeniedException', 'not authorized');
    const cache = new CacheService(backend);

    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
    await expect(cache.set('key', 'value')).rejects.toThrow(/no permission/);
  });

  test.each([
    ['makes DynamoDB remove what has expired from a table it creates', () => Promise.resolve(DONE)],
    [
      'is content when another process has done so',
      () => refusal('ValidationException', 'TimeToLive is already enabled'),
    ],
  ])('%s', async (_, onTimeToLive) => {
    const table = `t-${randomUUID()}`;
    const { backend, proxy } = await makeBackend(undefined, 'n', { table, createTable: true });
    proxy.onRequest = (question, forward) =>
      operationOf(question) === 'UpdateTimeToLive' ? onTimeToLive() : forward();
    await backend.set('key', BYTES, MINUTE_MS);

    const asked = proxy.questions.filter((question) => operationOf(question) === 'UpdateTimeToLive');
    expect(asked.map(({ body }) => JSON.parse(body))).toEqual([
      { TableName: table, TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true } },
    ]);
    expect(await backend.get('key')).toBeDefined();
  });

  test.each(['CreateTable', 'UpdateTimeToLive'])('says that it may not %s', async (operation) => {
    const { backend, proxy } = await makeBackend(undefined, 'n', {
      table: `t-${randomUUID()}`,
      createTable: true,
    });
    proxy.onRequest = (question, forward) =>
      operationOf(question) === operation
        ? refusal('AccessDeniedException', `not authorized to perform: dynamodb:${operation}`)
        : forward();

    expect((await failureOf(backend.open())).message).toMatch(`dynamodb:${operation}). Allow`);
  });

  /** A backend behind a proxy of its own; with `config` over a client of the app. */
  async function makeBackend(
    config?: DynamoDBClientConfig,
    namespace = `t-${randomUUID()}`,
    options: Pick<DynamoDBBackendOptions, 'table' | 'createTable'> = {},
  ) {
    const proxy = await AnswerProxy.to(inject('dynamodbUrl'));
    onTestFinished(() => proxy.stop());
    const place = {
      ...dynamodbAt(proxy.url),
      credentials: { accessKeyId: 'x', secretAccessKey: 'secret of x' },
    };
    const client = config && new DynamoDBClient({ ...place, ...config });
    const backend = new DynamoDBBackend({ ...(client ? { client } : place), ...options, namespace });
    onTestFinished(async () => {
      await backend.close();
      client?.destroy();
    });
    return { backend, proxy, namespace };
  }
});

function operationOf({ headers }: HttpQuestion): string | undefined {
  return String(headers['x-amz-target']).split('.')[1];
}

function isWrite(question: HttpQuestion): boolean {
  return ['PutItem', 'BatchWriteItem'].includes(operationOf(question) ?? '');
}

/** How many items were asked for, in each request of an operation, the smallest first. */
function sizesOf(proxy: AnswerProxy, operation: string): number[] {
  const questions = proxy.questions.filter((question) => operationOf(question) === operation);
  return questions.map(({ body }) => itemsIn(JSON.parse(body).RequestItems).length).sort((a, b) => a - b);
}

type RequestItems = Record<string, unknown[] | { Keys: unknown[] }>;

function itemsIn(requestItems: RequestItems = {}): unknown[] {
  const items = requestItems[TABLE] ?? [];
  return Array.isArray(items) ? items : items.Keys;
}

/** Does the first half of each batch, and answers the rest as left undone, as a busy DynamoDB does. */
function halfOf(operation: 'BatchGetItem' | 'BatchWriteItem'): OnRequest {
  const [left, toBatch] =
    operation === 'BatchGetItem'
      ? ['UnprocessedKeys', (Keys: unknown[]) => ({ [TABLE]: { Keys, ConsistentRead: true } })]
      : ['UnprocessedItems', (requests: unknown[]) => ({ [TABLE]: requests })];
  return async (question, forward) => {
    if (operationOf(question) !== operation) return forward();
    const items = itemsIn(JSON.parse(question.body).RequestItems);
    const half = Math.ceil(items.length / 2);
    const { body } = await forward(JSON.stringify({ RequestItems: toBatch(items.slice(0, half)) }));
    const rest = items.slice(half);
    return answer({ ...JSON.parse(body), [left]: rest.length > 0 ? toBatch(rest) : {} });
  };
}

/** Lets the first request have its effect and cuts the connection in place of its answer. */
function loseFirstAnswer(thenDo: () => Promise<void> = () => Promise.resolve()): OnRequest {
  let isFirst = true;
  return async (_, forward) => {
    if (!isFirst) return forward();
    isFirst = false;
    await forward();
    await thenDo();
    return undefined;
  };
}

/** Answers, and stands still before this process, which is the client too, reads the answer. */
function answeredInAStandstill(before: () => unknown = () => undefined): OnRequest {
  return async (_, forward) => {
    const answered = await forward();
    before();
    // What is due at once, such as the sending of the answer, still happens.
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STANDSTILL_MS));
    return answered;
  };
}

function answer(body: object): HttpAnswer {
  return { status: 200, body: JSON.stringify(body) };
}

/** As AWS words it. */
async function refusal(name: string, message: string): Promise<HttpAnswer> {
  const body = JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message });
  return { status: name === 'InternalServerError' ? 500 : 400, body };
}
