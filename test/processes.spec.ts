import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { CacheService } from 'nestjs-cachekit';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { CacheUserProcess } from './processes/cache-user-process.js';
import { type Asked, LOAD_TIMEOUT_MS } from './processes/orders.js';
import { untilOpen } from './processes/until-open.js';
import { patient, type RemoteBackend, REMOTE_BACKENDS } from './remote-backends.js';
import { describeOn } from './servers/describe-on.js';

const CALLERS = 1_000;
const LONGER_THAN_THE_LEASE_MS = 3 * LOAD_TIMEOUT_MS;

/** Processes that start, and connect, on a machine that is busy with other tests take most of the usual time of a test. */
const PATIENT = { timeout: 90_000 };

const STAND_STILL = { what: 'stand still in a load', key: 'key', value: 'old' } as const;

/** What another process does while the load stands still. */
const OVERTAKING: Readonly<Record<string, (cache: CacheService) => Promise<unknown>>> = {
  'its key was deleted': (cache) => cache.delete('key'),
  'its key was set': (cache) => cache.set('key', 'new'),
  'everything was cleared': (cache) => cache.clear(),
  'its key was deleted, then everything cleared': async (cache) => {
    await cache.delete('key');
    await cache.clear();
  },
  'its tag was invalidated': (cache) => cache.invalidateTags('tag'),
  'its key was loaded anew': async (cache) => {
    await delay(LONGER_THAN_THE_LEASE_MS);
    await cache.getOrSet('key', () => 'new');
  },
};

for (const remote of REMOTE_BACKENDS) {
  describeOn(remote.need, `Processes that share a ${remote.name}`, () => {
    let other: CacheUserProcess;
    beforeAll(async () => {
      other = await startUser(remote);
    });
    afterAll(() => other.kill());

    it.each(Object.entries(OVERTAKING))(
      'never see the value of a load that was paused for longer than any lease while %s',
      PATIENT,
      async (_, overtake) => {
        const { cache, namespace } = await use(remote);
        const late = other.tell({ ...STAND_STILL, namespace, lock: false });
        await other.untilItStandsStill();
        await overtake(cache);
        const before = await cache.get('key');
        await delay(LONGER_THAN_THE_LEASE_MS);
        other.goOn();

        // It was written too late; or with a tag version that is no longer in force, if the lease was still there.
        expect(await late).toEqual({ value: 'old', outcome: expect.stringMatching(/^(outdated|set)$/) });
        expect(await cache.get('key')).toBe(before);
        expect(await cache.getOrSet('key', () => 'newer')).toBe(before ?? 'newer');
      },
    );
  });
}

describeOn('redis', 'Processes that share a Redis and lock their loads', () => {
  const remote = REMOTE_BACKENDS.find(({ need }) => need === 'redis') as RemoteBackend;

  it('never see the value of a load that was paused until another took over', PATIENT, async () => {
    const { cache, namespace } = await use(remote);
    const other = await startForTest(remote);
    const late = other.tell({ ...STAND_STILL, namespace, lock: true });
    await other.untilItStandsStill();

    expect(await cache.getOrSet('key', () => 'new', { lock: true })).toBe('new');
    other.goOn();
    expect(await late).toEqual({ value: 'old', outcome: 'outdated' });
    expect(await cache.get('key')).toBe('new');
  });

  it.each([true, false])(
    'do not hang when one is killed in mid-load, if they wait for it: %s',
    PATIENT,
    async (lock) => {
      const { cache, namespace } = await use(remote);
      const victim = await startForTest(remote);
      await victim.tell({ what: 'load without end', namespace, key: 'key', lock: true });
      await victim.kill();

      expect(await cache.getOrSet('key', () => 'new', { lock })).toBe('new');
      expect(await cache.get('key')).toBe('new');
    },
  );

  it(`run one load for ${CALLERS} cold requests in each of four of them`, PATIENT, async () => {
    const { namespace } = await use(remote);
    const users = await Promise.all([1, 2, 3, 4].map(() => startForTest(remote)));
    const order = { what: 'ask often', namespace, key: 'key', callers: CALLERS, lock: true } as const;
    const results = await Promise.all(users.map((user) => user.tell(order) as Promise<Asked>));

    expect(results.reduce((sum, { loads }) => sum + loads, 0)).toBe(1);
    expect(new Set(results.flatMap(({ answers }) => answers)).size).toBe(1);
  });
});

/** A cache of this process, on a namespace that no other test uses. */
async function use({ make, provided }: RemoteBackend): Promise<{ cache: CacheService; namespace: string }> {
  const namespace = `processes-${randomUUID()}`;
  const backend = patient(make(inject(provided), namespace));
  onTestFinished(() => backend.close());
  await untilOpen(backend);
  return { namespace, cache: new CacheService(backend) };
}

/** Another process, which ends with the test. */
async function startForTest(remote: RemoteBackend): Promise<CacheUserProcess> {
  const user = await startUser(remote);
  onTestFinished(() => user.kill());
  return user;
}

function startUser({ name, provided }: RemoteBackend): Promise<CacheUserProcess> {
  return CacheUserProcess.start(name, inject(provided));
}
