import { InMemoryBackend, TieredBackend } from 'nestjs-cachekit';
import { describeBackend } from 'nestjs-cachekit/testing';
import { runner } from './describe-remote.js';

describeBackend(
  'TieredBackend, far in memory',
  (namespace) =>
    new TieredBackend({ near: new InMemoryBackend({ namespace }), far: new InMemoryBackend({ namespace }) }),
  runner,
);
