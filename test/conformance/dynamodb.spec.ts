import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';
import { describeBackend } from 'nestjs-cachekit/testing';
import { inject } from 'vitest';
import { patient } from '../remote-backends.js';
import { dynamodbAt } from '../servers/dynamodb.server.js';
import { describeRemote, runner } from './describe-remote.js';

describeRemote('DynamoDBBackend');

/** A second imitation of DynamoDB, which need not be there: the closing table says whether it was. */
const motoUrl = inject('motoUrl');
if (motoUrl !== undefined) {
  describeBackend(
    'DynamoDBBackend on moto_server',
    (namespace) => patient(new DynamoDBBackend({ ...dynamodbAt(motoUrl), createTable: true, namespace })),
    runner,
  );
}
