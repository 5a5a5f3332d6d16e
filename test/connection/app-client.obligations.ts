import type { CacheBackend } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import { watchResources } from '../backends/watch-resources.js';
import { until } from '../servers/until.js';
import type { AppClientKind } from './app-clients.js';
import type { ConnectionStage } from './connection-stage.js';
import { type Seconds, useFakeSeconds } from './fake-seconds.js';
import { failureOf } from './failure-of.js';
import { beginAll, BYTES, MINUTE_MS } from './operations.js';
import { untilUp } from './until-up.js';

/** A client that the app has made is used, and stays the app's. */
export function describeAppClient(stage: ConnectionStage, kind: AppClientKind): void {
  describe('over a client of the app', () => {
    it('connects it if need be, never closes it, and leaves nothing on it', async () => {
      const client = await stage.appClient(kind);
      const traces = client.traces();
      const backend = stage.backendOn(client);
      await backend.open();
      await backend.set('key', BYTES, MINUTE_MS);
      await backend.close();

      expect(client.traces()).toEqual(traces);
      expect((await failureOf(backend.get('key'))).message).toContain('closed');
      await expect(client.use()).resolves.toBeDefined();
      await backend.open();
      expect(await backend.get('key')).toBeDefined();
    });

    it('leaves nothing behind once the app has ended the client too', async () => {
      const watch = watchResources();
      const client = await stage.appClient(kind);
      const backend = stage.backendOn(client);
      await backend.set('key', BYTES, MINUTE_MS);
      await backend.close();
      await client.end();

      await expect.poll(() => watch.left()).toEqual([]);
    });

    it('rejects what the client would keep for later, once that knows that nobody is there', async () => {
      const seconds = useFakeSeconds();
      const { proxy, address } = await stage.network();
      const client = await stage.appClient(kind, address);
      const namespace = stage.anyNamespace();
      const backend = stage.backendOn(client, namespace);
      await backend.open();
      await proxy.takeDown();
      await untilLost(backend, seconds);
      const failing = failureOf(backend.set('lost', BYTES, MINUTE_MS));
      await seconds.pass(2);
      await proxy.bringUp();

      expect((await failing).message).toMatch(/no connection to .*given (client|data source)/);
      await untilUp(backend, seconds);
      expect(await stage.backend({ namespace }).get('lost')).toBeUndefined();
    });

    it('fails to open while the client finds nobody, and works once it does', async () => {
      const seconds = useFakeSeconds();
      const { proxy, address } = await stage.network();
      const client = await stage.appClient(kind, address);
      await proxy.takeDown();
      const backend = stage.backendOn(client);
      const failing = failureOf(backend.open());
      await seconds.pass(6);
      await proxy.bringUp();

      expect((await failing).message).toMatch(/no connection to .*given (client|data source)/);
      await untilUp(backend, seconds);
    });

    it('is closed in time, however long the client waits for an answer', async () => {
      const seconds = useFakeSeconds();
      const { proxy, address } = await stage.network();
      const backend = stage.backendOn(await stage.appClient(kind, address));
      await backend.open();
      proxy.blackhole();
      void Promise.allSettled(beginAll(backend));
      const closed = backend.close();
      await seconds.pass(2);

      await expect(closed).resolves.toBeUndefined();
      // Otherwise the app would wait for it too when it ends its client.
      proxy.pass();
      proxy.cut('rst');
    });

    const { ended } = kind;
    if (ended === undefined) {
      it('goes on after the app has ended the client', async () => {
        const client = await stage.appClient(kind);
        const backend = stage.backendOn(client);
        await backend.open();
        await client.end();

        expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
      });
    } else {
      it('is never made after the app has ended the client, and opens nothing', async () => {
        const client = await stage.appClient(kind);
        const backend = stage.backendOn(client);
        await backend.open();
        await client.end();
        const watch = watchResources();

        await expect.poll(() => messageOf(backend.get('key'))).toMatch(ended);
        expect(await messageOf(stage.backendOn(client).open())).toMatch(ended);
        expect((await watch.left()).filter((made) => made.startsWith('TCP'))).toEqual([]);
      });
    }
  });
}

async function messageOf(operation: unknown): Promise<string> {
  return (await failureOf(operation)).message;
}

/** Resolves once the client knows that its connection is lost. What it was asked before, it may keep. */
function untilLost(backend: CacheBackend, seconds: Seconds): Promise<void> {
  return until('the connection is lost', async () => {
    let isLost = false;
    void messageOf(backend.get('key')).then(
      (message) => (isLost = message.includes('no connection to')),
      () => undefined,
    );
    await seconds.pass(2);
    return isLost;
  });
}
