import { PostgresBackend } from 'nestjs-cachekit/postgres';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { startPostgres } from '../servers/postgres.server.js';

describeOn('postgres process', 'PostgresBackend', () => {
  describeOutages({
    start: () => startPostgres(),
    make: (port, namespace) =>
      new PostgresBackend({ url: `postgres://cachekit:cachekit@127.0.0.1:${port}/postgres`, namespace }),
  });
});
