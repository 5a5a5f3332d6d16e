import { MemcachedBackend } from 'nestjs-cachekit/memcached';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { startMemcached } from '../servers/memcached.server.js';

describeOn('memcached process', 'MemcachedBackend', () => {
  describeOutages({
    start: () => startMemcached(),
    make: (port, namespace) => new MemcachedBackend({ url: `memcached://127.0.0.1:${port}`, namespace }),
  });
});
