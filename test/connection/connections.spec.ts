import { InMemoryBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { watchResources } from '../backends/watch-resources.js';
import { REMOTE_BACKENDS } from '../remote-backends.js';
import { describeConnections } from './describe-connections.js';
import { BYTES, MINUTE_MS } from './operations.js';

for (const remote of REMOTE_BACKENDS) describeConnections(remote);

describe('InMemoryBackend, which has no connection,', () => {
  it('leaves nothing behind when it is closed', async () => {
    const watch = watchResources();
    const backend = new InMemoryBackend();
    await backend.open();
    backend.set('key', BYTES, MINUTE_MS);
    await backend.close();

    expect(await watch.left()).toEqual([]);
  });
});
