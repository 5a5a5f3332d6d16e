import { BackendUnavailableError } from 'nestjs-cachekit';
import { expect, it } from 'vitest';
import { until } from '../servers/until.js';
import type { ConnectionStage } from './connection-stage.js';
import { failureOf } from './failure-of.js';
import { useFakeSeconds } from './fake-seconds.js';
import { beginAll, BYTES, MINUTE_MS, OPERATIONS } from './operations.js';
import { untilUp } from './until-up.js';

/** How many operations come at the same time: more than any client opens connections for. */
const MANY = 150;

/** The connection is made by whoever comes first, once, and as soon as there is a server. */
export function describeOpening(stage: ConnectionStage): void {
  it.each(OPERATIONS)('is made by the first operation: %s', async (_, operate) => {
    const { proxy, address } = await stage.network();
    const backend = stage.backend({ address });
    expect(proxy.openConnections).toBe(0);
    await operate(backend);

    expect(proxy.openConnections).toBeGreaterThan(0);
  });

  it('is made once, whoever opens it at the same time', async () => {
    const { proxy, address } = await stage.network();
    const backend = stage.backend({ address });
    await Promise.all([backend.open(), backend.open(), backend.open()]);
    await backend.open();
    const one = await stage.networkOfOne();

    await expect.poll(() => proxy.openConnections - one.openConnections).toBe(0);
  });

  it('is made for each backend by itself', async () => {
    const { proxy, address } = await stage.network();
    const [first, second] = [stage.backend({ address }), stage.backend({ address })];
    await first.open();
    await second.open();
    const one = await stage.networkOfOne();

    await expect.poll(() => proxy.openConnections - 2 * one.openConnections).toBe(0);
    await first.close();
    expect(await second.set('key', BYTES, MINUTE_MS)).toBeDefined();
  });

  it('is of no more than so many at once, whatever is asked at the same time', async () => {
    const { proxy, address } = await stage.network();
    const backend = stage.backend({ address });
    const keys = Array.from({ length: MANY }, (_, index) => `key${index}`);
    await Promise.all(keys.map(async (key) => backend.set(key, BYTES, MINUTE_MS)));

    expect(proxy.openConnections).toBeLessThanOrEqual(stage.mostConnections(MANY));
  });

  it('lets the operations wait that come while it is made for the first time', async () => {
    const { proxy, address } = await stage.network();
    proxy.stall();
    const pending = Promise.allSettled(beginAll(stage.backend({ address })));
    await until('there is a connection', async () => proxy.openConnections > 0);
    proxy.pass();

    for (const result of await pending) expect(result).toMatchObject({ status: 'fulfilled' });
  });

  it('fails with address and reason when nobody listens, and is made once somebody does', async () => {
    const { proxy, address } = await stage.network();
    await proxy.takeDown();
    const backend = stage.backend({ address });
    const failure = await failureOf(backend.open());

    expect(failure.message).toMatch(new RegExp(`127\\.0\\.0\\.1:${proxy.port}.*ECONNREFUSED`));
    expect(failure.cause).toMatchObject({
      code: expect.anything(),
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await proxy.bringUp();
    await untilUp(backend);
  });

  it('fails the operations with it that wait for it', async () => {
    const results = await Promise.allSettled(beginAll(stage.backend({ address: stage.nowhere })));

    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(BackendUnavailableError) });
    }
  });

  it('fails when somebody listens who never says a word, and is made once the server does', async () => {
    const { proxy, address } = await stage.network();
    // From here on the client is loaded, which takes real time.
    await stage.backend().open();
    proxy.blackhole();
    const backend = stage.backend({ address });
    const seconds = useFakeSeconds();
    const failure = failureOf(backend.open());
    await until('there is a connection', async () => proxy.openConnections > 0);
    await seconds.pass(12);
    proxy.pass();

    expect((await failure).message).toContain(`127.0.0.1:${proxy.port}`);
    expect((await failure).message).toMatch(/no answer|not ready within|timeout/);
    await untilUp(backend, seconds);
  });

  it('is not needed for lists that are empty', async () => {
    const backend = stage.backend({ address: stage.nowhere });

    expect(await backend.getMany([])).toEqual([]);
    await expect(backend.delete([])).resolves.toBeUndefined();
  });
}
