import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { Binary, BSON, Long, MongoClient, type Collection, type Document } from 'mongodb';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { FaultProxy } from '../../faults/fault-proxy.js';
import { describeOn } from '../describe-on.js';
import { startMongodb } from '../mongodb.server.js';
import type { ServerProcess } from '../server-process.js';

interface AnyDocument extends Document {
  readonly _id: string | number;
}

/** What mongod is documented to do, so these hold on a real one too. */
describeOn('mongodb process', 'the MongoDB that tests run against', () => {
  let server: ServerProcess;
  let client: MongoClient;
  let collection: Collection<AnyDocument>;
  const database = `db-${randomUUID().slice(0, 8)}`;
  beforeAll(async () => {
    server = await startMongodb();
    client = await new MongoClient(server.url).connect();
    collection = client.db(database).collection('documents');
  });
  afterAll(async () => {
    await client.db(database).dropDatabase();
    await client.close();
    await server.stop();
  });

  test('keeps every type of BSON, and a document of 16 MiB less some bytes, and no larger one', async () => {
    const all = {
      date: new Date(0),
      long: Long.fromString('9007199254740993'),
      nothing: null,
      text: 'é😀\0',
    };
    await collection.insertOne({ _id: 'all', ...all, bytes: new Binary(Buffer.from([0, 1, 0])) });
    await collection.insertOne({ _id: 'large', bytes: Buffer.alloc(16 * 1024 * 1024 - 100) });

    expect(await collection.findOne({ _id: 'all' }, { promoteBuffers: true, promoteLongs: false })).toEqual({
      _id: 'all',
      ...all,
      bytes: Buffer.from([0, 1, 0]),
    });
    expect((await collection.findOne({ _id: 'large' }))?.['bytes'].length()).toBe(16 * 1024 * 1024 - 100);
    const tooLarge = { _id: 'too large', bytes: Buffer.alloc(16 * 1024 * 1024) };
    await expect(collection.insertOne(tooLarge)).rejects.toThrow();
    expect(await collection.findOne({ _id: 'too large' })).toBeNull();
  });

  test('answers thousands of documents page by page, and knows no cursor that is at its end', async () => {
    const ids = Array.from({ length: 3_000 }, (_, index) => index);
    await collection.insertMany(ids.map((_id) => ({ _id, page: true })));
    const cursor = collection.find({ page: true }, { batchSize: 700 });
    const some = collection.find({ page: true }, { batchSize: 10 });
    await some.next();
    await some.close();

    const found = (await cursor.toArray()).map(({ _id }) => Number(_id));
    expect(found.sort((a, b) => a - b)).toEqual(ids);
    const getMore = { getMore: Long.fromNumber(12_345), collection: 'documents' };
    await expect(client.db(database).command(getMore)).rejects.toMatchObject({ code: 43 });
  });

  test('says of a write that failed why, and how many did not', async () => {
    const documents = [{ _id: 'one' }, { _id: 'taken' }, { _id: 'two' }];
    await collection.insertOne({ _id: 'taken' });

    await expect(collection.insertOne({ _id: 'taken' })).rejects.toMatchObject({ code: 11_000 });
    await expect(collection.insertMany(documents, { ordered: false })).rejects.toMatchObject({
      code: 11_000,
      insertedCount: 2,
    });
  });

  test('refuses a second index on a key with other options, and commands that it does not know', async () => {
    const indexed = client.db(database).collection('indexed');
    await indexed.insertOne({ at: new Date() });
    await indexed.createIndex({ at: 1 }, { expireAfterSeconds: 60 });
    await indexed.createIndex({ at: 1 }, { expireAfterSeconds: 60 });

    await expect(indexed.createIndex({ at: 1 }, { expireAfterSeconds: 5 })).rejects.toMatchObject({
      code: 85,
    });
    await expect(client.db(database).command({ dance: 1 })).rejects.toMatchObject({ code: 59 });
  });

  test('removes documents whose date is over, by a TTL index, and no others', async () => {
    const expiring = client.db(database).collection<AnyDocument>('expiring');
    await expiring.createIndex({ at: 1 }, { expireAfterSeconds: 0 });
    const [past, future] = [new Date(Date.now() - 1_000), new Date(Date.now() + 3_600_000)];
    await expiring.insertMany([
      { _id: 'past', at: past },
      { _id: 'future', at: future },
      { _id: 'a number', at: past.getTime() },
      { _id: 'none' },
    ]);

    await expect.poll(() => expiring.countDocuments({ _id: 'past' })).toBe(0);
    expect(await expiring.countDocuments()).toBe(3);
  });

  test('carries out a write once that a client sends twice, since it lost the answer', async () => {
    const proxy = await FaultProxy.to(server.port);
    onTestFinished(() => proxy.takeDown());
    const other = new MongoClient(`mongodb://127.0.0.1:${proxy.port}`, { retryWrites: true });
    onTestFinished(() => other.close());
    const counters = other.db(database).collection<AnyDocument>('counters');
    await counters.insertOne({ _id: 'counter', count: 0 });
    proxy.cutAnswerAfter(0, 'rst');
    await counters.updateOne({ _id: 'counter' }, { $inc: { count: 1 } });

    expect(await counters.findOne({ _id: 'counter' })).toEqual({ _id: 'counter', count: 1 });
  });

  test('tells a client that watches it when nothing is new, without being asked again', async () => {
    const watching = new MongoClient(server.url, {
      heartbeatFrequencyMS: 500,
      serverMonitoringMode: 'stream',
    });
    onTestFinished(() => watching.close());
    let streamed = 0;
    watching.on('serverHeartbeatSucceeded', ({ awaited }) => void (streamed += awaited ? 1 : 0));
    await watching.connect();

    await expect.poll(() => streamed).toBeGreaterThan(2);
  });

  test('gives each user the rights of its roles, and a stranger none', async () => {
    const strict = await startMongodb(['--auth']);
    onTestFinished(() => strict.stop());
    const [name, pwd] = [`reader${randomUUID().slice(0, 8)}`, 'Pa.ssword1'];
    const as = (user: string) => {
      const one = new MongoClient(strict.url.replace('//', `//${user}`));
      onTestFinished(() => one.close());
      return one.db(database).collection<AnyDocument>('documents');
    };
    await collection.insertOne({ _id: 'readable' });
    const roles = [{ role: 'readAnyDatabase', db: 'admin' }];
    await new MongoClient(strict.url).db('admin').command({ createUser: name, pwd, roles });

    expect(await as(`${name}:${pwd}@`).findOne({ _id: 'readable' })).toEqual({ _id: 'readable' });
    await expect(as(`${name}:${pwd}@`).insertOne({ _id: 'mine' })).rejects.toMatchObject({ code: 13 });
    await expect(as(`${name}:guessed@`).findOne()).rejects.toMatchObject({ code: 18 });
    await expect(as('').findOne()).rejects.toMatchObject({ code: 13 });
  });

  test.runIf(inject('mongodbProgram').server.includes('not mongod'))(
    'understands a question that comes byte by byte, and two that come at once',
    async () => {
      const question = toQuestion({ ping: 1, $db: 'admin' });
      const socket = connect(server.port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.setNoDelay(true);
      const answers: Buffer[] = [];
      socket.on('data', (chunk) => answers.push(chunk));
      for (const byte of question) socket.write(Buffer.from([byte]));
      socket.write(Buffer.concat([question, question]));

      const answer = toQuestion({ ok: 1 }).length;
      await expect.poll(() => Buffer.concat(answers).length).toBe(3 * answer);
    },
  );
});

/** An OP_MSG with one section. */
function toQuestion(document: Document): Buffer {
  const body = BSON.serialize(document);
  const header = Buffer.alloc(21);
  header.writeInt32LE(header.length + body.length, 0);
  header.writeInt32LE(2013, 12);
  return Buffer.concat([header, body]);
}
