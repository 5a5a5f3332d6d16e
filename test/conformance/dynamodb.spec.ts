import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';
import { describeBackend } from 'nestjs-cachekit/testing';
import { inject } from 'vitest';
import { dynamodbAt } from '../servers/dynamodb.server.js';
import { describeRemote, runner } from './describe-remote.js';

describeRemote('DynamoDBBackend');

/** A second imitation of DynamoDB, which need not be there: the closing table says whether it was. */
const motoUrl = inject('motoUrl');
if (motoUrl !== undefined) {
  describeBackend(
    'DynamoDBBackend on moto_server',
    (namespace) => new DynamoDBBackend({ ...dynamodbAt(motoUrl), createTable: true, namespace }),
    runner,
  );
}
