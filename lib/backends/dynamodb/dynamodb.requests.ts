import type { WriteRequest } from '@aws-sdk/client-dynamodb';
import { setTimeout as delay } from 'node:timers/promises';
import type { Stored } from '../cache-backend.js';
import { inBatches } from '../in-batches.js';
import type { DynamoDBLink } from './dynamodb.client.js';
import { attemptsOf, isConditionFailed } from './aws-error.js';
import { backOffMs } from './back-off.js';
import type { Request, Send } from './dynamodb.connection.js';
import { throttledError } from './dynamodb.failure.js';
import { PARTITION, SORT, toKey, toStored, VERSION, type Item, type Name } from './item.js';

/** DynamoDB's limits for one request. */
const MAX_READS = 100;
const MAX_WRITES = 25;

/** So many requests of one call are under way at once. More would be throttled, or keep others waiting. */
const LANES = 8;

/** So many times in a row may DynamoDB do nothing of a batch. Together with the pauses: about three seconds. */
const MAX_FRUITLESS = 6;

/** A version, `undefined` for an absent entry, or that it does not matter. */
export type Expected = { readonly seen: string | undefined } | 'any';

/** The entry of a name, in its latest version. */
export async function read(send: Send, table: string, name: Name): Promise<Stored | undefined> {
  const answer = await send(({ client, sdk }, options) =>
    client.send(
      new sdk.GetItemCommand({ TableName: table, Key: toKey(name), ConsistentRead: true }),
      options,
    ),
  );
  return toStored(answer.Item);
}

/** The entries of many different names, by their sort keys. */
export async function readMany(
  send: Send,
  table: string,
  names: readonly Name[],
): Promise<ReadonlyMap<string, Stored>> {
  const found = new Map<string, Stored>();
  await inLanes(inBatches(names.map(toKey), MAX_READS), (keys) =>
    untilNoneLeft(send, keys, async (left, { client, sdk }, options) => {
      const request = { RequestItems: { [table]: { Keys: left, ConsistentRead: true } } };
      const answer = await client.send(new sdk.BatchGetItemCommand(request), options);
      for (const item of answer.Responses?.[table] ?? []) note(found, item);
      return answer.UnprocessedKeys?.[table]?.Keys ?? [];
    }),
  );
  return found;
}

function note(found: Map<string, Stored>, item: Item): void {
  const stored = toStored(item);
  if (stored !== undefined) found.set(item[SORT]?.S ?? '', stored);
}

/** Writes an item if what is there is what was expected, and tells whether it did. */
export async function write(send: Send, table: string, item: Item, expected: Expected): Promise<boolean> {
  let timesSent = 0;
  const isWritten = await send(async ({ client, sdk }, options) => {
    timesSent += 1;
    try {
      const condition = conditionFor(expected);
      await client.send(new sdk.PutItemCommand({ TableName: table, Item: item, ...condition }), options);
      return true;
    } catch (error) {
      if (!isConditionFailed(error)) throw error;
      timesSent += attemptsOf(error) - 1;
      return false;
    }
  });
  if (isWritten || timesSent === 1) return isWritten;
  // The second sending may have run into what the first one wrote, whose answer was lost.
  const name = { partition: item[PARTITION]?.S ?? '', sort: item[SORT]?.S ?? '' };
  return (await read(send, table, name))?.version === item[VERSION]?.S;
}

function conditionFor(expected: Expected) {
  if (expected === 'any') return {};
  const names = { ExpressionAttributeNames: { '#version': VERSION } };
  const { seen } = expected;
  if (seen === undefined) return { ConditionExpression: 'attribute_not_exists(#version)', ...names };
  return {
    ConditionExpression: '#version = :seen',
    ExpressionAttributeValues: { ':seen': { S: seen } },
    ...names,
  };
}

/** Removes the items of many different names. */
export async function remove(send: Send, table: string, names: readonly Name[]): Promise<void> {
  await inLanes(inBatches(names.map(toKey), MAX_WRITES), (keys) => removeBatch(send, table, keys));
}

/** Removes all items of some partitions. */
export async function removePartitions(
  send: Send,
  table: string,
  partitions: readonly string[],
): Promise<void> {
  await inLanes(partitions, (partition) => removePartition(send, table, partition));
}

async function removePartition(send: Send, table: string, partition: string): Promise<void> {
  let start: Item | undefined;
  do {
    const page = await send(queryKeys(table, partition, start));
    for (const keys of inBatches(page.Items ?? [], MAX_WRITES)) await removeBatch(send, table, keys);
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
}

function queryKeys(table: string, partition: string, start: Item | undefined) {
  return ({ client, sdk }: DynamoDBLink, options: { abortSignal: AbortSignal }) =>
    client.send(
      new sdk.QueryCommand({
        TableName: table,
        ConsistentRead: true,
        KeyConditionExpression: '#partition = :partition',
        ProjectionExpression: '#partition, #sort',
        ExpressionAttributeNames: { '#partition': PARTITION, '#sort': SORT },
        ExpressionAttributeValues: { ':partition': { S: partition } },
        ExclusiveStartKey: start,
      }),
      options,
    );
}

async function removeBatch(send: Send, table: string, keys: readonly Item[]): Promise<void> {
  const requests = keys.map((key): WriteRequest => ({ DeleteRequest: { Key: key } }));
  await untilNoneLeft(send, requests, async (left, { client, sdk }, options) => {
    const request = { RequestItems: { [table]: left } };
    const answer = await client.send(new sdk.BatchWriteItemCommand(request), options);
    return answer.UnprocessedItems?.[table] ?? [];
  });
}

/**
 * Sends what a batch has left undone until nothing is left. At once where something was done: the answer was full.
 * After a pause where nothing was: the table is throttled.
 */
async function untilNoneLeft<T>(
  send: Send,
  all: T[],
  step: (left: T[], ...link: Parameters<Request<T[]>>) => Promise<T[]>,
): Promise<void> {
  let left = all;
  for (let fruitless = 0; left.length > 0;) {
    const { rest, place } = await send(async (link, options) => ({
      rest: await step(left, link, options),
      place: link.place,
    }));
    fruitless = rest.length < left.length ? 0 : fruitless + 1;
    if (fruitless > MAX_FRUITLESS) throw throttledError(place);
    left = rest;
    if (fruitless > 0) await delay(backOffMs(fruitless));
  }
}

/** Works on all, some of them at once. */
async function inLanes<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = all.values();
  const lane = async (): Promise<void> => {
    for (const one of left) await work(one);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}
