import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { CacheService } from '../core/cache.service.js';
import { LoadTimeoutError } from '../core/errors.js';
import type { BackendUnderTest } from './describe-backend.js';
import { OVERTAKING } from './overtaking.js';
import { anyKey, gate } from './tools.js';

const CALLERS = 1_000;

/** Loads: one at a time, and none that was overtaken is stored. */
export function describeLoads({ backend, runner: { describe, it } }: BackendUnderTest): void {
  const cache = (): CacheService => new CacheService(backend());

  describe('loads', () => {
    it(`run once for ${CALLERS} callers at once`, async () => {
      const [key, service, slow] = [anyKey(), cache(), gate<{ id: number }>()];
      const callers = Array.from({ length: CALLERS }, () => service.getOrSet(key, slow.load));
      await slow.reached;
      slow.open({ id: 7 });
      const answers = await Promise.all(callers);
      ok(answers.every(({ id }) => id === 7));
      equal(new Set(answers).size, CALLERS);
      equal(slow.calls(), 1);
    });

    it('serve those who come while they run', async () => {
      const [key, slow, joined] = [anyKey(), gate<string>(), gate<void>()];
      const service = new CacheService(backend(), {
        onEvent: ({ type }) => type === 'collapsed' && joined.load(),
      });
      const first = service.getOrSet(key, slow.load);
      await slow.reached;
      const second = service.getOrSet(key, () => 'second load');
      await joined.reached;
      slow.open('first load');
      deepEqual(await Promise.all([first, second]), ['first load', 'first load']);
    });

    it('that fail reject all who wait with the very error, and store nothing', async () => {
      const [key, service, failing, failure] = [anyKey(), cache(), gate<string>(), new Error('no such user')];
      const callers = Array.from({ length: 10 }, () => service.getOrSet(key, failing.load));
      const settled = Promise.allSettled(callers);
      await failing.reached;
      failing.fail(failure);
      ok((await settled).every((result) => result.status === 'rejected' && result.reason === failure));
      equal(await service.get(key), undefined);
      equal(await service.getOrSet(key, () => 'works again'), 'works again');
      equal(await service.get(key), 'works again');
    });

    it('that throw at once do the same', async () => {
      const [key, failure] = [anyKey(), new TypeError('at once')];
      const throws = (): never => {
        throw failure;
      };
      await rejects(cache().getOrSet(key, throws), (thrown: unknown) => thrown === failure);
      equal(await cache().getOrSet(key, () => 'works again'), 'works again');
    });

    it('that answer undefined store nothing', async () => {
      const key = anyKey();
      equal(await cache().getOrSet(key, () => undefined), undefined);
      equal(await cache().has(key), false);
      equal(await cache().getOrSet<unknown>(key, () => null), null);
      equal(await cache().has(key), true);
    });

    it('that hang reject after loadTimeout and free the key; what they still answer is not stored', async () => {
      const [key, service, hanging] = [anyKey(), cache(), gate<string>()];
      await rejects(service.getOrSet(key, hanging.load, { loadTimeout: '50ms' }), LoadTimeoutError);
      equal(await service.getOrSet(key, () => 'second'), 'second');
      hanging.open('late');
      await hanging.load();
      equal(await service.get(key), 'second');
    });

    it('are told by a signal that nobody waits any more', async () => {
      let signal: AbortSignal | undefined;
      const hang = (given: AbortSignal): Promise<never> => {
        signal = given;
        return new Promise(() => undefined);
      };
      await rejects(cache().getOrSet(anyKey(), hang, { loadTimeout: '20ms' }), LoadTimeoutError);
      ok(signal?.aborted && signal.reason instanceof LoadTimeoutError);
    });

    it('that outlast the ttl of their value are answered but not stored', async () => {
      const [key, slow] = [anyKey(), gate<string>()];
      const pending = cache().getOrSet(key, slow.load, '1ms');
      await slow.reached;
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
      slow.open('old');
      equal(await pending, 'old');
      equal(await cache().has(key), false);
    });
  });

  describe('a late load is answered but not stored', () => {
    for (const [event, overtake] of Object.entries(OVERTAKING)) {
      for (const who of ['the same', 'another'] as const) {
        it(`after ${event} through ${who} service`, async () => {
          const [key, service, late] = [anyKey(), cache(), gate<string>()];
          const pending = service.getOrSet(key, late.load);
          await late.reached;
          await overtake(who === 'the same' ? service : cache(), key);
          const before = await service.get(key);
          late.open('late');
          equal(await pending, 'late');
          equal(await service.get(key), before);
          equal(await service.getOrSet(key, () => 'fresh'), before ?? 'fresh');
        });
      }
    }
  });
}
