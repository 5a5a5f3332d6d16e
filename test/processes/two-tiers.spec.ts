import { randomUUID } from 'node:crypto';
import { CacheService, NotAnnouncedError } from 'nestjs-cachekit';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { proxyTo } from '../connection/proxy-to.js';
import type { FaultProxy } from '../faults/fault-proxy.js';
import { portOf, type RemoteBackend, REMOTE_BACKENDS, throughPort } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { until } from '../servers/until.js';
import { CacheUserProcess } from './cache-user-process.js';
import { type Glance, machineMs, type TwoTiersOptions, type Watched } from './orders.js';
import { makeTwoTiers } from './two-tiers.js';
import { untilOpen } from './until-open.js';

const WITH_BUS = REMOTE_BACKENDS.filter(({ name }) => name === 'RedisBackend' || name === 'PostgresBackend');

/** Nothing but a message of the bus, or its loss, ends a copy that may live so long. */
const AN_HOUR_MS = 3_600_000;
const NEAR_TTL_MS = 300;
const ROUNDS = 30;
const ROUNDS_WITHOUT_BUS = 5;
/** What is to be expected on a machine with nothing else to do. It is printed how often it was kept. */
const PROMISED_MS = 50;

/** What one process does to `key`, and what the other answers from then on. */
interface Change {
  readonly make: (cache: CacheService) => Promise<unknown>;
  readonly leaves: string | null;
}

const DELETE: Change = { make: (cache) => cache.delete('key'), leaves: null };
const CHANGES: Readonly<Record<string, Change>> = {
  delete: DELETE,
  set: { make: (cache) => cache.set('key', 'new'), leaves: 'new' },
  invalidateTags: { make: (cache) => cache.invalidateTags('tag'), leaves: null },
  clear: { make: (cache) => cache.clear(), leaves: null },
};

/** How the network of a process breaks, and is mended. */
interface Fault {
  readonly begin: (proxy: FaultProxy) => unknown;
  readonly end: (proxy: FaultProxy) => unknown;
}

const CLOSED: Fault = { begin: (proxy) => proxy.takeDown(), end: (proxy) => proxy.bringUp() };
const SILENT: Fault = {
  begin: (proxy) => proxy.blackhole(),
  end: (proxy) => {
    proxy.pass();
    proxy.cut('rst');
  },
};

for (const remote of WITH_BUS) {
  describeOn(remote.need, `Two processes on two tiers, the far one a ${remote.name},`, () => {
    const report: Record<string, Record<string, string>> = {};
    let other: CacheUserProcess;
    beforeAll(async () => {
      other = await CacheUserProcess.start(remote.name, inject(remote.provided));
    });
    afterAll(async () => {
      await other.kill();
      console.info(`${remote.name}: for how many ms another process answered what was there before`);
      console.table(report);
    });

    it.each(Object.entries(CHANGES))(
      'hear of each change of the other by the bus: %s',
      async (name, change) => {
        const there = await use();
        const lagsMs = await changeOften(there, change, ROUNDS);

        report[name] = summary(lagsMs);
      },
    );

    it('answer what was there before for at most nearTtl while they hear nothing', async () => {
      const proxy = await proxyToServer();
      const there = await use({ nearTtlMs: NEAR_TTL_MS, busAddress: addressOf(proxy) });
      await CLOSED.begin(proxy);
      await there.until('it is deaf', ({ isListening }) => !isListening);
      const lagsMs = await changeOften(there, DELETE, ROUNDS_WITHOUT_BUS);

      // However busy the machine is: it counts when a read began, and no copy is older than the change.
      for (const lagMs of lagsMs) expect(lagMs).toBeLessThan(NEAR_TTL_MS);
      const { median, most } = summary(lagsMs);
      report[`delete, no bus, nearTtl ${NEAR_TTL_MS} ms`] = { median, most };
    });

    it.each(Object.entries(CHANGES))(
      'catch up with what they missed as soon as their bus is back: %s',
      async (_, change) => {
        await missAndCatchUp(CLOSED, change);
      },
    );

    it('catch up with what they missed while the bus lost everything in silence', async () => {
      await missAndCatchUp(SILENT, DELETE);
    });

    it('do not answer what was there before for ever when the network of one loses everything', async () => {
      const proxy = await proxyToServer();
      const there = await use({ address: addressOf(proxy) });
      SILENT.begin(proxy);
      await there.cache.set('key', 'new');
      await there.until('it gives up its copies', ({ value }) => value === null);
      SILENT.end(proxy);
      await there.until('it is back', ({ value }) => value === 'new');

      expect(valuesOf(await there.stop())).toEqual(['old', null, 'new']);
    });

    it('hear of a change that could not be told with the next one', async () => {
      const proxy = await proxyToServer();
      const there = await use({}, { busAddress: addressOf(proxy) });
      await CLOSED.begin(proxy);

      await expect(there.cache.delete('key')).rejects.toThrow(NotAnnouncedError);
      await CLOSED.end(proxy);
      await until('another can be told', () => succeeds(there.cache.set('another', 'value')));
      await there.until('it hears of both', ({ value }) => value === null);
      expect(await there.stop()).toMatchObject({ failures: [] });
    });

    /** It hears nothing of a change, however long it waits, until its bus is back. */
    async function missAndCatchUp(fault: Fault, change: Change): Promise<void> {
      const proxy = await proxyToServer();
      const there = await use({ busAddress: addressOf(proxy) });
      await fault.begin(proxy);
      await there.until('it has new copies', ({ isListening, isNear }) => !isListening && isNear);
      await change.make(there.cache);

      expect(await there.look()).toEqual({ value: 'old', isNear: true, isListening: false });
      await fault.end(proxy);
      await there.until('it has caught up', ({ value }) => value === change.leaves);
      const watched = await there.stop();
      expect(watched.failures).toEqual([]);
      expect(valuesOf(watched)).toEqual(['old', change.leaves]);
    }

    /**
     * Changes a key that the other process has near, round by round. What the other has given up must never come back.
     *
     * @returns for how long it answered each old value after the change was done, in milliseconds
     */
    async function changeOften(there: OtherTiers, change: Change, rounds: number): Promise<number[]> {
      const changedAtMs: number[] = [];
      for (let round = 0; round < rounds; round++) {
        await there.cache.set('key', `old ${round}`, { tags: ['tag'] });
        await there.untilNear(`old ${round}`);
        await change.make(there.cache);
        changedAtMs.push(machineMs());
        await there.until('it hears of it', ({ value }) => value === change.leaves);
      }
      const watched = await there.stop();
      const old = watched.answers.filter(({ value }) => value?.startsWith('old '));

      expect(watched.failures).toEqual([]);
      const expected = changedAtMs.flatMap((_, round) => [`old ${round}`, change.leaves]);
      expect(valuesOf(watched)).toEqual(['old', ...expected]);
      return old.map(({ lastAskedAtMs }, round) => Math.max(0, lastAskedAtMs - (changedAtMs[round] ?? 0)));
    }

    function use(
      theirs: Partial<TwoTiersOptions> = {},
      ours: Partial<TwoTiersOptions> = {},
    ): Promise<OtherTiers> {
      const address = inject(remote.provided);
      const options = { namespace: `tiers-${randomUUID()}`, nearTtlMs: AN_HOUR_MS, address };
      return OtherTiers.use(remote, other, { ...options, ...theirs }, { ...options, ...ours });
    }

    function proxyToServer(): Promise<FaultProxy> {
      return proxyTo(portOf(inject(remote.provided)));
    }

    function addressOf({ port }: FaultProxy): string {
      return throughPort(inject(remote.provided), port);
    }
  });
}

/**
 * Two tiers in another process that watches `key`, where it has a copy of `old`, and a cache on two tiers of this one,
 * until the test ends.
 */
class OtherTiers {
  private isWatching = true;

  private constructor(
    readonly cache: CacheService,
    private readonly other: CacheUserProcess,
    private readonly namespace: string,
  ) {}

  static async use(
    remote: RemoteBackend,
    other: CacheUserProcess,
    theirs: TwoTiersOptions,
    ours: TwoTiersOptions,
  ): Promise<OtherTiers> {
    const { backend, close } = makeTwoTiers(remote, ours);
    onTestFinished(close);
    const tiers = new OtherTiers(new CacheService(backend), other, theirs.namespace);
    await untilOpen(backend);
    // Before the other listens: a message of it that comes late would drop a copy as well.
    await tiers.cache.set('key', 'old', { tags: ['tag'] });
    onTestFinished(async () => void (await tiers.stop()));
    await other.tell({ what: 'watch', key: 'key', ...theirs });
    await tiers.untilNear('old');
    return tiers;
  }

  look(): Promise<Glance> {
    return this.other.tell({ what: 'look', namespace: this.namespace }) as Promise<Glance>;
  }

  until(what: string, holds: (glance: Glance) => boolean): Promise<void> {
    return until(what, async () => holds(await this.look()));
  }

  untilNear(value: string): Promise<void> {
    return this.until(`it has a copy of ${value}`, (glance) => glance.isNear && glance.value === value);
  }

  /** A second time it answers nothing. */
  async stop(): Promise<Watched> {
    if (!this.isWatching) return { answers: [], failures: [] };
    this.isWatching = false;
    return (await this.other.tell({ what: 'stop watching', namespace: this.namespace })) as Watched;
  }
}

function valuesOf({ answers }: Watched): (string | null)[] {
  return answers.map(({ value }) => value);
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

function summary(lagsMs: readonly number[]): { median: string; most: string; [within: string]: string } {
  const sorted = lagsMs.toSorted((one, other) => one - other);
  return {
    median: (sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(1),
    most: (sorted.at(-1) ?? 0).toFixed(1),
    [`within ${PROMISED_MS}`]: `${lagsMs.filter((ms) => ms <= PROMISED_MS).length} of ${lagsMs.length}`,
  };
}
