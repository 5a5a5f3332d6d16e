import {
  BatchWriteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  type AttributeValue,
} from '@aws-sdk/client-dynamodb';
import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { EntryTooLargeError, type Stored } from 'nestjs-cachekit';
import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';
import { describeOn } from '../servers/describe-on.js';
import { dynamodbAt } from '../servers/dynamodb.server.js';

const MINUTE_MS = 60_000;
const CENTURY_MS = 100 * 365 * 24 * 60 * MINUTE_MS;
const TABLE = 'cachekit';

type Item = Record<string, AttributeValue>;

describeOn('dynamodb', 'DynamoDBBackend', () => {
  /** Another app, on the same DynamoDB. */
  let other: DynamoDBClient;
  beforeAll(async () => {
    other = new DynamoDBClient(dynamodbAt(inject('dynamodbUrl')));
    const backend = new DynamoDBBackend({ ...dynamodbAt(inject('dynamodbUrl')), createTable: true });
    await backend.open();
    await backend.close();
  });
  afterAll(() => other.destroy());

  test('keeps an entry as an item with version, bytes and end, under namespace and key', async () => {
    const { backend, namespace } = makeBackend();
    const earliest = Math.ceil((Date.now() + 1_500) / 1_000);
    const { version } = await backend.set('price:of:tea', Buffer.from('ck1 ...'), 1_500);
    const latest = Math.ceil((Date.now() + 1_500) / 1_000);

    const item = await itemOf(namespace, 'price:of:tea');
    expect(Object.keys(item ?? {}).sort()).toEqual(['expiresAt', 'payload', 'pk', 'sk', 'version']);
    expect(item?.['version']).toEqual({ S: version });
    expect(Buffer.from(item?.['payload']?.B ?? []).toString()).toBe('ck1 ...');
    expect(Number(item?.['expiresAt']?.N)).toBeGreaterThanOrEqual(earliest);
    expect(Number(item?.['expiresAt']?.N)).toBeLessThanOrEqual(latest);
  });

  test('tells DynamoDB no end of an entry that has none, or one after all calendars', async () => {
    const { backend, namespace } = makeBackend();
    await backend.set('endless', Buffer.from('x'), Infinity);
    await backend.set('eternity', Buffer.from('x'), 1e300);
    await backend.set('century', Buffer.from('x'), CENTURY_MS);
    const { version } = await backend.set('replaced', Buffer.from('x'), MINUTE_MS);
    await backend.replace('replaced', version, Buffer.from('y'), Infinity);

    for (const key of ['endless', 'eternity', 'replaced']) {
      expect(await itemOf(namespace, key)).not.toHaveProperty('expiresAt');
    }
    expect(Number((await itemOf(namespace, 'century'))?.['expiresAt']?.N)).toBeGreaterThan(4e9);
  });

  test('spreads the entries of a namespace over its sixteen partitions', async () => {
    const { backend, namespace } = makeBackend();
    const keys = Array.from({ length: 200 }, (_, index) => `key${index}`);
    await Promise.all(keys.map((key) => backend.set(key, Buffer.from('x'), MINUTE_MS)));
    const items = await Promise.all(keys.map((key) => itemOf(namespace, key)));

    const all = Array.from({ length: 16 }, (_, index) => `${namespace}#${index}`);
    expect(new Set(items.map((item) => item?.['pk']?.S))).toEqual(new Set(all));
  });

  test('takes a key of no characters, and one that is longer than a sort key may be', async () => {
    const { backend, namespace } = makeBackend();
    const [longest, tooLong] = ['é'.repeat(512), `${'é'.repeat(512)}x`];
    for (const key of ['', longest, tooLong]) await backend.set(key, Buffer.from(key), MINUTE_MS);

    expect(await itemOf(namespace, '~47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')).toBeDefined();
    expect(await itemOf(namespace, longest)).toBeDefined();
    expect((await backend.getMany(['', longest, tooLong])).map(text)).toEqual(['', longest, tooLong]);
  });

  test('takes an item of somebody else without a version for absent, and can write over it', async () => {
    const { backend, namespace } = makeBackend();
    for (const key of ['one', 'two']) await putOther({ ...keyOf(namespace, key), price: { N: '4.5' } });

    expect(await backend.get('one')).toBeUndefined();
    expect(await backend.getMany(['one', 'two'])).toEqual([undefined, undefined]);
    expect(await backend.replace('one', 'a version', Buffer.from('no'), MINUTE_MS)).toBeUndefined();
    expect(await backend.replace('one', undefined, Buffer.from('mine'), MINUTE_MS)).toBeDefined();
    await backend.set('two', Buffer.from('mine'), MINUTE_MS);
    expect((await backend.getMany(['one', 'two'])).map(text)).toEqual(['mine', 'mine']);
  });

  test('reports an item of somebody else that has a version, and can write over it', async () => {
    const { backend, namespace } = makeBackend();
    await putOther({ ...keyOf(namespace, 'key'), version: { S: 'theirs' }, payload: { S: 'text' } });

    expect(await backend.get('key')).toEqual({ version: 'theirs', bytes: new Uint8Array() });
    expect(await backend.replace('key', undefined, Buffer.from('no'), MINUTE_MS)).toBeUndefined();
    expect(await backend.replace('key', 'theirs', Buffer.from('mine'), MINUTE_MS)).toBeDefined();
    expect(text(await backend.get('key'))).toBe('mine');
  });

  test('reads more than one answer holds', async () => {
    const { backend } = makeBackend();
    const keys = Array.from({ length: 60 }, (_, index) => `key${index}`);
    const bytes = (key: string): Buffer => Buffer.alloc(300_000, key);
    await Promise.all(keys.map((key) => backend.set(key, bytes(key), MINUTE_MS)));
    const found = await backend.getMany(keys);

    const wrong = keys.filter((key, index) => !bytes(key).equals(found[index]?.bytes ?? new Uint8Array()));
    expect(wrong).toEqual([]);
  });

  test('clears ten thousand entries of its namespace and nothing else', { timeout: 120_000 }, async () => {
    const { backend, namespace } = makeBackend();
    const { backend: child } = makeBackend({ namespace: `${namespace}.eu` });
    const foreign = [`${namespace}#16`, `${namespace}`, `x${namespace}#0`].map((pk) => ({
      pk: { S: pk },
      sk: { S: 'key' },
    }));
    for (const key of foreign) await putOther({ ...key, price: { N: '4.5' } });
    await child.set('key', Buffer.from('kept'), MINUTE_MS);
    const keys = Array.from({ length: 10_000 }, (_, index) => `key${index}`);
    await fill(namespace, keys);
    expect((await backend.get('key9999'))?.version).toBe('filled');
    const started = performance.now();
    await backend.clear();
    console.info(`DynamoDBBackend.clear of 10,000 entries: ${Math.round(performance.now() - started)} ms`);

    expect((await backend.getMany(keys)).filter((found) => found !== undefined)).toEqual([]);
    for (const key of foreign) expect((await get(key))?.['price']).toEqual({ N: '4.5' });
    expect(text(await child.get('key'))).toBe('kept');
  });

  test('takes an entry up to the limit of an item, and refuses a larger one before it is sent', async () => {
    const { backend } = makeBackend();
    const offline = new DynamoDBBackend(dynamodbAt('http://127.0.0.1:1'));
    const refusal: unknown = await offline
      .set('key', new Uint8Array(409_600), MINUTE_MS)
      .catch((error) => error);
    if (!(refusal instanceof EntryTooLargeError)) throw new Error(`Not refused: ${String(refusal)}`);
    const { version } = await backend.set('key', new Uint8Array(refusal.limitBytes - 50), MINUTE_MS);
    const tooLarge = new Uint8Array(refusal.limitBytes + 1);

    expect(refusal.limitBytes).toBeGreaterThan(409_600 - 200);
    await expect(backend.set('key', tooLarge, MINUTE_MS)).rejects.toThrow(/DynamoDBBackend: the entry "key"/);
    await expect(backend.replace('key', version, tooLarge, MINUTE_MS)).rejects.toThrow(EntryTooLargeError);
    expect((await backend.get('key'))?.version).toBe(version);
  });

  function makeBackend({ namespace = `t-${randomUUID()}` } = {}) {
    // Over a client that waits longer than one of its own: dynalite is slow on a machine that is busy with other tests.
    const backend = new DynamoDBBackend({ client: other, namespace });
    onTestFinished(async () => {
      await backend.clear();
      await backend.close();
    });
    return { backend, namespace };
  }

  async function get(key: Item): Promise<Item | undefined> {
    const answer = await other.send(new GetItemCommand({ TableName: TABLE, Key: key, ConsistentRead: true }));
    return answer.Item;
  }

  function itemOf(namespace: string, sort: string): Promise<Item | undefined> {
    return get(keyOf(namespace, sort));
  }

  async function putOther(item: Item): Promise<void> {
    await other.send(new PutItemCommand({ TableName: TABLE, Item: item }));
  }

  /** Writes many entries at less cost than one by one. */
  async function fill(namespace: string, keys: readonly string[]): Promise<void> {
    const entry = { version: { S: 'filled' }, payload: { B: Buffer.alloc(100) } };
    for (let start = 0; start < keys.length; start += 25) {
      const requests = keys
        .slice(start, start + 25)
        .map((key) => ({ PutRequest: { Item: { ...keyOf(namespace, key), ...entry } } }));
      await other.send(new BatchWriteItemCommand({ RequestItems: { [TABLE]: requests } }));
    }
  }
});

/** Where an entry lies. Another rule would lose what users have stored. */
function keyOf(namespace: string, sort: string): Item {
  const partition = (createHash('sha256').update(sort).digest()[0] ?? 0) % 16;
  return { pk: { S: `${namespace}#${partition}` }, sk: { S: sort } };
}

function text(found: Stored | undefined): string | undefined {
  return found && Buffer.from(found.bytes).toString();
}
