import type { CacheBackend, Stored } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';
import type { ConnectionStage } from './connection-stage.js';
import { BYTES, MINUTE_MS } from './operations.js';

const WRITERS = 50;

/** Two backends of one namespace, as two processes have them, each with a connection of its own. */
export function describeSharing(stage: ConnectionStage): void {
  describe('beside that of another process in the same namespace', () => {
    it('shares all entries with the other', async () => {
      const [backend, other] = two();
      const { version } = await backend.set('key', BYTES, MINUTE_MS);

      expect((await other.get('key'))?.version).toBe(version);
      expect(await other.replace('key', version, Buffer.from('y'), MINUTE_MS)).toBeDefined();
      expect(textOf(await backend.get('key'))).toBe('y');
      expect(await backend.replace('key', version, Buffer.from('z'), MINUTE_MS)).toBeUndefined();
    });

    it(`has one winner of ${WRITERS} writers of both, whoever saw what, and no failure`, async () => {
      const [backend, other] = two();
      const race = async (seen: string | undefined): Promise<string[]> => {
        const results = await Promise.all(
          writers(backend, other).map(async (writer) => writer.replace('key', seen, BYTES, MINUTE_MS)),
        );
        return results.flatMap((result) => (result ? [result.version] : []));
      };
      const first = await race(undefined);
      const next = await race(first[0]);

      expect([first.length, next.length]).toEqual([1, 1]);
      expect((await backend.get('key'))?.version).toBe(next[0]);
    });

    it(`takes ${WRITERS} sets of one entry at once, and ends with one of them`, async () => {
      const [backend, other] = two();
      const written = await Promise.all(
        writers(backend, other).map(async (writer) => writer.set('key', BYTES, MINUTE_MS)),
      );

      const { version } = (await backend.get('key')) ?? {};
      expect(written.map((each) => each.version)).toContain(version);
    });

    it('sees what the other clears at once, and what is written after it stays', async () => {
      const [backend, other] = two();
      await other.set('key', BYTES, MINUTE_MS);
      const { version } = await other.set('seen', BYTES, MINUTE_MS);
      await backend.clear();

      expect(await other.replace('seen', version, Buffer.from('late'), MINUTE_MS)).toBeUndefined();
      expect(await other.getMany(['key', 'seen'])).toEqual([undefined, undefined]);
      await other.set('key', Buffer.from('after'), MINUTE_MS);
      expect(textOf(await backend.get('key'))).toBe('after');
    });

    it('has nothing left of what the other writes over while it clears', async () => {
      const [backend, other] = two();
      for (let round = 0; round < 10; round++) {
        const { version } = await other.set('key', BYTES, MINUTE_MS);
        const late = other.replace('key', version, Buffer.from('late'), MINUTE_MS);
        await Promise.all([backend.clear(), late]);

        expect([await backend.get('key'), await other.get('key')]).toEqual([undefined, undefined]);
      }
    });
  });

  function two(): readonly [CacheBackend, CacheBackend] {
    const namespace = stage.anyNamespace();
    return [stage.backend({ namespace }), stage.backend({ namespace })];
  }
}

function writers(backend: CacheBackend, other: CacheBackend): CacheBackend[] {
  return Array.from({ length: WRITERS }, (_, index) => (index % 2 === 0 ? backend : other));
}

function textOf(stored: Stored | undefined): string | undefined {
  return stored && Buffer.from(stored.bytes).toString();
}
