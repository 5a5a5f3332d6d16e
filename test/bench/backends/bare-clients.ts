import {
  BatchGetItemCommand,
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { Firestore, Timestamp } from '@google-cloud/firestore';
import { Redis } from 'ioredis';
import { Client as Memjs } from 'memjs';
import { MongoClient } from 'mongodb';
import { Pool } from 'pg';
import { TTL_MS } from '../measure/get-or-set.js';
import type { Item } from '../measure/payload.js';
import type { BackendContestant } from './contestant.js';

/** What a backend's own client does for the same calls, as an app would write it by hand: JSON under a key, with a ttl. */
export const BARE_CLIENTS: Readonly<Record<string, (address: string) => Promise<BackendContestant>>> = {
  RedisBackend: bareIoredis,
  PostgresBackend: barePg,
  MemcachedBackend: bareMemjs,
  MongoDBBackend: bareMongodb,
  FirestoreBackend: bareFirestore,
  DynamoDBBackend: bareDynamodb,
};

const PREFIX = 'bench-bare:';

function itemIn(text: string | null | undefined): Item | undefined {
  return text === null || text === undefined ? undefined : (JSON.parse(text) as Item);
}

async function bareIoredis(url: string): Promise<BackendContestant> {
  const redis = new Redis(url);
  return {
    get: async (key) => itemIn(await redis.get(PREFIX + key)),
    getMany: async (keys) => (await redis.mget(keys.map((key) => PREFIX + key))).map(itemIn),
    set: async (key, item) => {
      await redis.set(PREFIX + key, JSON.stringify(item), 'PX', TTL_MS);
    },
  };
}

/** With ten connections, which is the default of pg; `PostgresBackend` takes four. And the same kind of table. */
async function barePg(url: string): Promise<BackendContestant> {
  const pool = new Pool({ connectionString: url, max: 10 });
  await pool.query('DROP TABLE IF EXISTS bench_bare');
  await pool.query(
    'CREATE UNLOGGED TABLE bench_bare (key text PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz NOT NULL)',
  );
  const fresh = 'FROM bench_bare WHERE expires_at > now() AND key';
  return {
    get: async (key) => {
      const query = { name: 'bare-get', text: `SELECT key, value ${fresh} = $1`, values: [key] };
      const { rows } = await pool.query<PgRow>(query);
      return itemIn(rows[0]?.value.toString());
    },
    getMany: async (keys) => {
      const query = { name: 'bare-many', text: `SELECT key, value ${fresh} = ANY($1)`, values: [keys] };
      const { rows } = await pool.query<PgRow>(query);
      const found = new Map(rows.map(({ key, value }) => [key, value]));
      return keys.map((key) => itemIn(found.get(key)?.toString()));
    },
    set: async (key, item) => {
      const text =
        'INSERT INTO bench_bare VALUES ($1, $2, $3) ' +
        'ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at';
      const values = [key, Buffer.from(JSON.stringify(item)), new Date(Date.now() + TTL_MS)];
      await pool.query({ name: 'bare-set', text, values });
    },
  };
}

/** memjs has no call for many keys. */
async function bareMemjs(url: string): Promise<BackendContestant> {
  const client = Memjs.create(new URL(url).host);
  const get = async (key: string): Promise<Item | undefined> =>
    itemIn((await client.get(PREFIX + key)).value?.toString());
  return {
    get,
    getMany: (keys) => Promise.all(keys.map(get)),
    set: async (key, item) => {
      await client.set(PREFIX + key, JSON.stringify(item), { expires: TTL_MS / 1_000 });
    },
  };
}

interface PgRow {
  readonly key: string;
  readonly value: Buffer;
}

interface Row {
  readonly _id: string;
  readonly text: string;
  readonly expireAt: Date;
}

async function bareMongodb(url: string): Promise<BackendContestant> {
  const client = await MongoClient.connect(url);
  const rows = client.db('bench').collection<Row>('bare');
  return {
    get: async (key) => itemIn((await rows.findOne({ _id: key }))?.text),
    getMany: async (keys) => {
      const found = new Map<string, string>();
      for await (const { _id, text } of rows.find({ _id: { $in: [...keys] } })) found.set(_id, text);
      return keys.map((key) => itemIn(found.get(key)));
    },
    set: async (key, item) => {
      const row = { text: JSON.stringify(item), expireAt: new Date(Date.now() + TTL_MS) };
      await rows.replaceOne({ _id: key }, row, { upsert: true });
    },
  };
}

async function bareFirestore(host: string): Promise<BackendContestant> {
  const firestore = new Firestore({
    projectId: 'bench-bare',
    host,
    ssl: false,
    customHeaders: { Authorization: 'Bearer owner' },
  });
  const documents = firestore.collection('bench');
  const textIn = (data: { text?: string } | undefined): Item | undefined => itemIn(data?.text);
  return {
    get: async (key) => textIn((await documents.doc(key).get()).data()),
    getMany: async (keys) =>
      (await firestore.getAll(...keys.map((key) => documents.doc(key)))).map((found) => textIn(found.data())),
    set: async (key, item) => {
      const expireAt = Timestamp.fromMillis(Date.now() + TTL_MS);
      await documents.doc(key).set({ text: JSON.stringify(item), expireAt });
    },
  };
}

const TABLE = 'bench-bare';

async function bareDynamodb(endpoint: string): Promise<BackendContestant> {
  const credentials = { accessKeyId: 'nobody', secretAccessKey: 'nothing' };
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials });
  const table = new CreateTableCommand({
    TableName: TABLE,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
  });
  await client.send(table);
  await waitUntilTableExists({ client, maxWaitTime: 30 }, { TableName: TABLE });
  return {
    get: async (key) => {
      const command = new GetItemCommand({ TableName: TABLE, Key: { pk: { S: key } }, ConsistentRead: true });
      return itemIn((await client.send(command)).Item?.['text']?.S);
    },
    getMany: async (keys) => {
      const Keys = keys.map((key) => ({ pk: { S: key } }));
      const command = new BatchGetItemCommand({ RequestItems: { [TABLE]: { Keys, ConsistentRead: true } } });
      const rows = (await client.send(command)).Responses?.[TABLE] ?? [];
      const found = new Map(rows.map((row) => [row['pk']?.S, row['text']?.S]));
      return keys.map((key) => itemIn(found.get(key)));
    },
    set: async (key, item) => {
      const expires = String(Math.ceil((Date.now() + TTL_MS) / 1_000));
      const row = { pk: { S: key }, text: { S: JSON.stringify(item) }, expires: { N: expires } };
      await client.send(new PutItemCommand({ TableName: TABLE, Item: row }));
    },
  };
}
