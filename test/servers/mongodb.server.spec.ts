import { readFile } from 'node:fs/promises';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { startMongodb, withMongodb } from './mongodb.server.js';
import type { ServerProcess } from './server-process.js';
import { stopWhileFrozen } from './stop-while-frozen.js';

const ping = (client: MongoClient) => client.db('admin').command({ ping: 1 });

describeOn('mongodb', 'the MongoDB that all specs share', () => {
  test('answers', async () => {
    expect(await withMongodb(inject('mongodbUrl'), ping)).toMatchObject({ ok: 1 });
  });
});

describeOn('mongodb process', "a MongoDB of one's own", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startMongodb();
  });
  afterAll(() => server.stop());

  test('refuses connections once it is killed, and answers on the same port after a restart', async () => {
    const { url } = server;
    await server.kill();
    // Once the time is up, the driver says why only if it was told so by then.
    await expect.poll(() => withMongodb(url, ping, 100).catch(String)).toContain('ECONNREFUSED');
    await server.restart();
    expect(server.url).toBe(url);
    expect(await withMongodb(url, ping)).toMatchObject({ ok: 1 });
  });

  test('leaves clients without an answer while it is frozen, and answers when it is thawed', async () => {
    const client = new MongoClient(server.url);
    onTestFinished(() => client.close());
    await ping(client);
    await server.freeze();
    const answer = ping(client);
    const another = withMongodb(`${server.url}/?connectTimeoutMS=50`, ping, 100);
    await expect(another).rejects.toThrow(/timed out/);
    await server.thaw();
    expect(await answer).toMatchObject({ ok: 1 });
  });

  test('asks for a login with --auth', async () => {
    const strict = await startMongodb(['--auth']);
    onTestFinished(() => strict.stop());

    await expect(
      withMongodb(strict.url, (client) => client.db('x').listCollections().toArray()),
    ).rejects.toThrow(/requires authentication/);
  });

  const isVisible = process.platform === 'linux' && inject('mongodbProgram').image === undefined;
  test.runIf(isVisible)('does not run as root', async () => {
    const { pid } = await withMongodb(server.url, (client) => client.db().admin().serverStatus());
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
  });

  test('leaves no data when it is stopped, even while it is frozen', async () => {
    const another = await startMongodb();
    await stopWhileFrozen(another);
    await expect(withMongodb(another.url, ping, 100)).rejects.toThrow();
  });
});
