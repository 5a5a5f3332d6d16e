import { setTimeout as delay } from 'node:timers/promises';
import { BackendUnavailableError } from '../../core/errors.js';
import { isTableInUse, isTableMissing, isTimeToLiveSet, isUnknownCommand } from './aws-error.js';
import type { Send } from './dynamodb.connection.js';
import { EXPIRY, PARTITION, SORT } from './item.js';

/** AWS takes 5 to 30 seconds. */
const CREATE_LIMIT_MS = 60_000;
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1_000;

/**
 * Creates the table, waits until it can be used, and makes DynamoDB remove what has expired. That another process
 * does the same is no error.
 */
export async function createTable(send: Send, table: string): Promise<void> {
  const end = performance.now() + CREATE_LIMIT_MS;
  for (let pauseMs = FIRST_PAUSE_MS; !(await isActive(send, table)); pauseMs *= 2) {
    if (performance.now() > end) throw notActive(table);
    await delay(Math.min(pauseMs, LAST_PAUSE_MS));
  }
  await setTimeToLive(send, table);
}

/** Whether the table can be used. Where there is none, or none any more, creates it. */
async function isActive(send: Send, table: string): Promise<boolean> {
  try {
    const { Table } = await send(({ client, sdk }, options) =>
      client.send(new sdk.DescribeTableCommand({ TableName: table }), options),
    );
    return Table?.TableStatus === 'ACTIVE';
  } catch (error) {
    if (!isTableMissing(error)) throw error;
  }
  await create(send, table);
  return false;
}

async function create(send: Send, table: string): Promise<void> {
  try {
    await send(({ client, sdk }, options) =>
      client.send(
        new sdk.CreateTableCommand({
          TableName: table,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [
            { AttributeName: PARTITION, AttributeType: 'S' },
            { AttributeName: SORT, AttributeType: 'S' },
          ],
          KeySchema: [
            { AttributeName: PARTITION, KeyType: 'HASH' },
            { AttributeName: SORT, KeyType: 'RANGE' },
          ],
        }),
        options,
      ),
    );
  } catch (error) {
    // Another process creates it too, or somebody drops it at this moment.
    if (!isTableInUse(error)) throw error;
  }
}

async function setTimeToLive(send: Send, table: string): Promise<void> {
  try {
    await send(({ client, sdk }, options) =>
      client.send(
        new sdk.UpdateTimeToLiveCommand({
          TableName: table,
          TimeToLiveSpecification: { AttributeName: EXPIRY, Enabled: true },
        }),
        options,
      ),
    );
  } catch (error) {
    if (!isTimeToLiveSet(error) && !isTableInUse(error) && !isUnknownCommand(error)) throw error;
  }
}

function notActive(table: string): BackendUnavailableError {
  return new BackendUnavailableError(
    `DynamoDBBackend: the table "${table}" is not active after ${CREATE_LIMIT_MS / 1_000} seconds. The next ` +
      'operation looks at it again.',
  );
}
