import { equal } from 'node:assert/strict';
import type { BackendUnderTest } from './describe-backend.js';
import { anyKey, bytes, text } from './tools.js';

const RACERS = 50;

/** `replace` writes only over what its caller saw, in one step. */
export function describeConditionalWrites({ backend, runner: { describe, it } }: BackendUnderTest): void {
  describe('replace', () => {
    it('writes where there is nothing, if nothing was seen', async () => {
      const key = anyKey();
      const written = await backend().replace(key, undefined, bytes('first'), 60_000);
      equal(text(written), 'first');
      equal((await backend().get(key))?.version, written?.version);
    });

    it('writes nothing where there is something, if nothing was seen', async () => {
      const key = anyKey();
      await backend().set(key, bytes('there'), 60_000);
      equal(await backend().replace(key, undefined, bytes('late'), 60_000), undefined);
      equal(text(await backend().get(key)), 'there');
    });

    it('writes over the version that was seen', async () => {
      const key = anyKey();
      const { version } = await backend().set(key, bytes('seen'), 60_000);
      equal(text(await backend().replace(key, version, bytes('new'), 60_000)), 'new');
      equal(text(await backend().get(key)), 'new');
    });

    it('writes nothing after somebody else wrote, also the same bytes', async () => {
      const key = anyKey();
      const { version } = await backend().set(key, bytes('same'), 60_000);
      await backend().set(key, bytes('same'), 60_000);
      equal(await backend().replace(key, version, bytes('late'), 60_000), undefined);
      equal(text(await backend().get(key)), 'same');
    });

    it('writes nothing after the entry was removed', async () => {
      const key = anyKey();
      const { version } = await backend().set(key, bytes('seen'), 60_000);
      await backend().delete([key]);
      equal(await backend().replace(key, version, bytes('late'), 60_000), undefined);
      equal(await backend().get(key), undefined);
    });

    it('writes nothing after the entry was removed and written anew', async () => {
      const key = anyKey();
      const { version } = await backend().set(key, bytes('same'), 60_000);
      await backend().delete([key]);
      await backend().replace(key, undefined, bytes('same'), 60_000);
      equal(await backend().replace(key, version, bytes('late'), 60_000), undefined);
    });

    it('writes nothing after everything was cleared', async () => {
      const key = anyKey();
      const { version } = await backend().set(key, bytes('seen'), 60_000);
      await backend().clear();
      equal(await backend().replace(key, version, bytes('late'), 60_000), undefined);
      equal(await backend().get(key), undefined);
    });

    it(`has one winner of ${RACERS} who saw nothing`, async () => {
      const key = anyKey();
      const racers = Array.from({ length: RACERS }, async (_, index) =>
        backend().replace(key, undefined, bytes(`${index}`), 60_000),
      );
      const winners = (await Promise.all(racers)).filter((written) => written !== undefined);
      equal(winners.length, 1);
      equal(text(await backend().get(key)), text(winners[0]));
    });

    it(`has one winner of ${RACERS} who saw the same version`, async () => {
      const key = anyKey();
      const { version } = await backend().set(key, bytes('start'), 60_000);
      const racers = Array.from({ length: RACERS }, async (_, index) =>
        backend().replace(key, version, bytes(`${index}`), 60_000),
      );
      const winners = (await Promise.all(racers)).filter((written) => written !== undefined);
      equal(winners.length, 1);
      equal((await backend().get(key))?.version, winners[0]?.version);
    });
  });
}
