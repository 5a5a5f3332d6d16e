import { MongoDBBackend } from 'nestjs-cachekit/mongodb';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { startMongodb } from '../servers/mongodb.server.js';

describeOn('mongodb process', 'MongoDBBackend', () => {
  describeOutages({
    start: () => startMongodb(),
    make: (port, namespace) => new MongoDBBackend({ url: `mongodb://127.0.0.1:${port}`, namespace }),
  });
});
