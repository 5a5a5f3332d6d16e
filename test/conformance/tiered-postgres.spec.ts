import { InMemoryBackend, TieredBackend } from 'nestjs-cachekit';
import { describeRemote } from './describe-remote.js';

describeRemote('PostgresBackend', {
  title: 'TieredBackend, far Postgres',
  around: (far, namespace) => new TieredBackend({ near: new InMemoryBackend({ namespace }), far }),
});
