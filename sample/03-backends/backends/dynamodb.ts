import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';

/** A DynamoDB on this machine takes any keys. For AWS leave out `endpoint` and `credentials`. */
export const backend = new DynamoDBBackend({
  endpoint: process.env['DYNAMODB_URL'] ?? 'http://localhost:8000',
  region: 'us-east-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  createTable: true,
});
