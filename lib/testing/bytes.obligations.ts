import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { EntryTooLargeError } from '../core/errors.js';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, bytes, text, writeMany } from './tools.js';

/** More than any store takes in one request, or answers in one page. */
const MANY = 1_200;
/** Under the smallest limit of all backends (DynamoDB: 400 KB an item). */
const LARGE_BYTES = 300_000;
/** Over the limits of some. */
const HUGE_BYTES = 1_000_000;

/** A backend gives back the bytes it was given. */
export function describeBytes({ backend, runner: { describe, it } }: BackendUnderTest): void {
  describe('bytes', () => {
    it('answers undefined for a key that was never written', async () => {
      equal(await backend().get(anyKey()), undefined);
    });

    it('gives back every byte as it was', async () => {
      const key = anyKey();
      const all = Uint8Array.from({ length: 512 }, (_, index) => index % 256);
      await backend().set(key, all, 60_000);
      deepEqual(Buffer.from((await backend().get(key))?.bytes ?? []), Buffer.from(all));
    });

    it('keeps bytes of zero at the beginning and at the end', async () => {
      const key = anyKey();
      await backend().set(key, Uint8Array.of(0, 0, 1, 0, 0), 60_000);
      deepEqual([...((await backend().get(key))?.bytes ?? [])], [0, 0, 1, 0, 0]);
    });

    it('stores no bytes at all as an entry', async () => {
      const key = anyKey();
      await backend().set(key, new Uint8Array(0), 60_000);
      equal((await backend().get(key))?.bytes.byteLength, 0);
    });

    it('gives back 300,000 bytes', async () => {
      const key = anyKey();
      const large = Buffer.alloc(LARGE_BYTES, 'large ');
      await backend().set(key, large, 60_000);
      deepEqual(Buffer.from((await backend().get(key))?.bytes ?? []), large);
    });

    it('gives back a million bytes, or says that they are too many', async () => {
      const key = anyKey();
      const huge = Buffer.alloc(HUGE_BYTES, 'huge ');
      try {
        await backend().set(key, huge, 60_000);
        deepEqual(Buffer.from((await backend().get(key))?.bytes ?? []), huge);
      } catch (error) {
        ok(error instanceof EntryTooLargeError, String(error));
        equal(await backend().get(key), undefined);
      }
    });

    it('overwrites', async () => {
      const key = anyKey();
      await backend().set(key, bytes('a longer first value'), 60_000);
      await backend().set(key, bytes('second'), 60_000);
      equal(text(await backend().get(key)), 'second');
    });

    it('leaves an answer as it was when the entry is overwritten', async () => {
      const key = anyKey();
      await backend().set(key, bytes('first'), 60_000);
      const answer = await backend().get(key);
      await backend().set(key, bytes('other'), 60_000);
      equal(text(answer), 'first');
    });

    it('names each write by a new version, also for equal bytes', async () => {
      const key = anyKey();
      const first = await backend().set(key, bytes('same'), 60_000);
      const second = await backend().set(key, bytes('same'), 60_000);
      equal(typeof first.version, 'string');
      notEqual(first.version, second.version);
    });

    it('reports the version that the write answered', async () => {
      const key = anyKey();
      const written = await backend().set(key, bytes('value'), 60_000);
      equal((await backend().get(key))?.version, written.version);
      equal((await backend().getMany([key]))[0]?.version, written.version);
    });

    it('reads many in their order, undefined for each that is missing', async () => {
      const [a, b, missing] = [anyKey(), anyKey(), anyKey()];
      await backend().set(a, bytes('a'), 60_000);
      await backend().set(b, bytes('b'), 60_000);
      deepEqual((await backend().getMany([b, missing, a])).map(text), ['b', undefined, 'a']);
    });

    it('reads a key twice when it is asked for twice', async () => {
      const key = anyKey();
      await backend().set(key, bytes('twin'), 60_000);
      deepEqual((await backend().getMany([key, key])).map(text), ['twin', 'twin']);
    });

    it('reads none when it is asked for none', async () => {
      deepEqual(await backend().getMany([]), []);
    });

    it(`reads ${MANY} at once, and removes them at once`, async () => {
      const keys = Array.from({ length: MANY }, anyKey);
      await writeMany(backend(), keys);
      deepEqual((await backend().getMany(keys)).map(text), keys);
      await backend().delete(keys);
      deepEqual(
        await backend().getMany(keys),
        Array.from(keys, () => undefined),
      );
    });

    it('removes only what it is told to', async () => {
      const [gone, stays] = [anyKey(), anyKey()];
      await backend().set(gone, bytes('gone'), 60_000);
      await backend().set(stays, bytes('stays'), 60_000);
      await backend().delete([gone, anyKey(), gone]);
      await backend().delete([]);
      deepEqual((await backend().getMany([gone, stays])).map(text), [undefined, 'stays']);
    });
  });
}
