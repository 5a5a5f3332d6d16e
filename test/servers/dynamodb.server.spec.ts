import { CreateTableCommand, DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { access } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { dynamodbAt, startDynamodb } from './dynamodb.server.js';
import type { ServerProcess } from './server-process.js';

describeOn('dynamodb', 'the DynamoDB that all specs share', () => {
  test('answers', async () => {
    expect(await tablesOf(inject('dynamodbUrl'))).toBeInstanceOf(Array);
  });
});

describeOn('dynamodb process', "a DynamoDB of one's own", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startDynamodb();
  });
  afterAll(() => server.stop());

  test('refuses connections once it is killed, and has its tables again after a restart', async () => {
    const client = makeClient(server.url);
    await client.send(
      new CreateTableCommand({
        TableName: 'kept',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      }),
    );
    await server.kill();
    await expect(tablesOf(server.url)).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    expect(await tablesOf(server.url)).toEqual(['kept']);
  });

  test('leaves clients without an answer while it is frozen, and answers when it is thawed', async () => {
    await server.freeze();
    const answer = tablesOf(server.url);
    const other = makeClient(server.url);
    const abortSignal = AbortSignal.timeout(50);
    await expect(other.send(new ListTablesCommand({}), { abortSignal })).rejects.toThrow('aborted');
    await server.thaw();
    expect(await answer).toBeInstanceOf(Array);
  });

  test('leaves no process and no data when it is stopped', async () => {
    const another = await startDynamodb();
    const { folder } = another.place;
    await access(folder);
    await another.stop();
    await another.stop();
    await expect(access(folder)).rejects.toThrow('ENOENT');
    await expect(tablesOf(another.url)).rejects.toThrow('ECONNREFUSED');
  });
});

function makeClient(url: string): DynamoDBClient {
  const client = new DynamoDBClient({ ...dynamodbAt(url), maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  return client;
}

async function tablesOf(url: string): Promise<string[] | undefined> {
  const { TableNames } = await makeClient(url).send(new ListTablesCommand({}));
  return TableNames;
}
