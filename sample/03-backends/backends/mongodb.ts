import { MongoDBBackend } from 'nestjs-cachekit/mongodb';

export const backend = new MongoDBBackend({
  url: process.env['MONGODB_URL'] ?? 'mongodb://localhost:27017/cachekit',
});
