import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { dynamodbAt, startDynamodb } from '../servers/dynamodb.server.js';

describeOn('dynamodb process', 'DynamoDBBackend', () => {
  describeOutages({
    start: () => startDynamodb(),
    make: (port, namespace) =>
      new DynamoDBBackend({ ...dynamodbAt(`http://127.0.0.1:${port}`), createTable: true, namespace }),
  });
});
