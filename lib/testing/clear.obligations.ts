import { deepEqual, equal } from 'node:assert/strict';
import type { CacheBackend } from '../backends/cache-backend.js';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, bytes, text, writeMany } from './tools.js';

/** More than any store lists in one page. */
const MANY = 1_200;

/** `clear` empties its own namespace, and no other. */
export function describeClear({
  backend,
  make,
  namespace,
  runner: { describe, it },
}: BackendUnderTest): void {
  describe('clear', () => {
    it(`removes all of ${MANY} entries`, async () => {
      const keys = Array.from({ length: MANY }, anyKey);
      await writeMany(backend(), keys);
      await backend().clear();
      deepEqual(
        await backend().getMany(keys),
        Array.from(keys, () => undefined),
      );
    });

    it('removes an entry under an awkward key, and one without an end', async () => {
      const keys = ['', '*', 'x'.repeat(5_000), '\ud83d', anyKey()];
      await Promise.all(keys.map(async (key) => backend().set(key, bytes('entry'), Infinity)));
      await backend().clear();
      deepEqual(
        await backend().getMany(keys),
        Array.from(keys, () => undefined),
      );
    });

    it('removes what is not a value: leases and the markers of tags', async () => {
      const keys = [`t:${anyKey()}`, `m:${anyKey()}`, `n:a/b:${anyKey()}`, `h:[${anyKey()}]`];
      await Promise.all(keys.map(async (key) => backend().set(key, bytes('entry'), 60_000)));
      await backend().clear();
      deepEqual(await backend().getMany(keys), [undefined, undefined, undefined, undefined]);
    });

    it('is fine where there is nothing to remove, and what is written after it stays', async () => {
      const key = anyKey();
      await backend().clear();
      await backend().clear();
      await backend().set(key, bytes('after'), 60_000);
      equal(text(await backend().get(key)), 'after');
    });

    it('spares namespaces whose names begin like its own', async () => {
      for (const suffix of ['.eu', '-eu', '_', '0']) {
        await sparesAndIsSpared(backend(), await make(`${namespace}${suffix}`));
      }
    });

    it('spares namespaces that a pattern would match, or that differ in case only', async () => {
      const own = await make(`${namespace}_a.b`);
      for (const other of ['xa.b', '_axb', '_A.b']) {
        await sparesAndIsSpared(own, await make(`${namespace}${other}`));
      }
      await own.close();
    });
  });
}

async function sparesAndIsSpared(own: CacheBackend, other: CacheBackend): Promise<void> {
  const key = anyKey();
  await own.set(key, bytes('own'), 60_000);
  await other.set(key, bytes('foreign'), 60_000);
  equal(text(await own.get(key)), 'own');
  await own.clear();
  equal(text(await other.get(key)), 'foreign');
  await own.set(key, bytes('own'), 60_000);
  await other.clear();
  equal(text(await own.get(key)), 'own');
  await other.close();
}
