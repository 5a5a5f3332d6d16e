import { equal } from 'node:assert/strict';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, bytes, text } from './tools.js';

/** Backends open by themselves, close, and open again. */
export function describeLifecycle({ make, namespace, runner: { describe, it } }: BackendUnderTest): void {
  describe('open and close', () => {
    it('opens by itself at the first operation', async () => {
      const key = anyKey();
      const backend = await make(`${namespace}.lazy`);
      await backend.set(key, bytes('value'), 60_000);
      equal(text(await backend.get(key)), 'value');
      await backend.clear();
      await backend.close();
    });

    it('is opened once, however often it is asked to', async () => {
      const key = anyKey();
      const backend = await make(`${namespace}.twice`);
      await Promise.all([backend.open(), backend.open()]);
      await backend.open();
      await backend.set(key, bytes('value'), 60_000);
      equal(text(await backend.get(key)), 'value');
      await backend.clear();
      await backend.close();
    });

    it('opens again after it was closed', async () => {
      const key = anyKey();
      const backend = await make(`${namespace}.again`);
      await backend.open();
      await backend.close();
      await backend.open();
      await backend.set(key, bytes('value'), 60_000);
      equal(text(await backend.get(key)), 'value');
      await backend.clear();
      await backend.close();
    });

    it('can be closed twice, or without having been opened', async () => {
      const backend = await make(`${namespace}.closed`);
      await backend.close();
      await backend.open();
      await Promise.all([backend.close(), backend.close()]);
      await backend.close();
    });
  });
}
