import { expect, it, onTestFinished, vi } from 'vitest';
import type { ConnectionStage } from './connection-stage.js';
import { failureOf } from './failure-of.js';
import { beginAll, BYTES, MINUTE_MS } from './operations.js';
import { untilUp } from './until-up.js';

/** The connection is lost, and made anew. What an app sees of it is for `describeOutages` to say. */
export function describeLosing(stage: ConnectionStage): void {
  it('rejects operations at once while it is away, and keeps none of them for later', async () => {
    const { proxy, address } = await stage.network();
    const namespace = stage.anyNamespace();
    const backend = stage.backend({ address, namespace });
    await backend.open();
    await proxy.takeDown();
    // An operation that waited for its turn would still be pending after this many.
    for (let count = 0; count < 20; count++) await failureOf(backend.set('lost', BYTES, MINUTE_MS));
    await proxy.bringUp();
    await untilUp(backend);

    expect(await backend.get('lost')).toBeUndefined();
    expect(await stage.backend({ namespace }).get('lost')).toBeUndefined();
  });

  it.each(['rst', 'fin'] as const)(
    'rejects the operations under way when it is cut by %s, and is made anew',
    async (how) => {
      const { proxy, address } = await stage.network();
      const backend = stage.backend({ address });
      await backend.open();
      proxy.stall();
      const pending = beginAll(backend).map(failureOf);
      proxy.refuse();
      proxy.cut(how);

      for (const failure of await Promise.all(pending)) {
        expect(failure.message).toContain(`127.0.0.1:${proxy.port}`);
        expect(failure.message).toMatch(/ECONNRESET|closed|terminated|dropped/);
      }
      proxy.pass();
      await untilUp(backend);
    },
  );

  it('prints nothing, whatever happens to it', async () => {
    const printed = (['log', 'info', 'warn', 'error'] as const).map((name) => vi.spyOn(console, name));
    onTestFinished(() => void vi.restoreAllMocks());
    const { proxy, address } = await stage.network();
    const backend = stage.backend({ address });
    await backend.set('key', BYTES, MINUTE_MS);
    await proxy.takeDown();
    await failureOf(backend.set('key', BYTES, MINUTE_MS));
    await failureOf(stage.backend({ address }).open());

    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  });
}
