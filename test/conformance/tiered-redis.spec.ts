import { InMemoryBackend, TieredBackend } from 'nestjs-cachekit';
import { describeRemote } from './describe-remote.js';

describeRemote('RedisBackend', {
  title: 'TieredBackend, far Redis',
  around: (far, namespace) => new TieredBackend({ near: new InMemoryBackend({ namespace }), far }),
});
