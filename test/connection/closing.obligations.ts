import { expect, it } from 'vitest';
import { watchResources } from '../backends/watch-resources.js';
import type { ConnectionStage } from './connection-stage.js';
import { failureOf } from './failure-of.js';
import { BYTES, MINUTE_MS, OPERATIONS } from './operations.js';
import { stopTime } from './stop-time.js';

/** Under the smallest limit of all backends, and more than one packet. */
const LARGE_BYTES = 300_000;

/** Whoever closes it lets go of everything, and may open it again. */
export function describeClosing(stage: ConnectionStage): void {
  it('leaves nothing behind when it is closed: while it is up, away, or being made', async () => {
    const watch = watchResources();
    const up = stage.backend();
    await up.open();
    const away = stage.backend({ address: stage.nowhere });
    await failureOf(away.open());
    const opening = stage.backend();
    const opened = failureOf(opening.open());
    await Promise.all([up.close(), away.close(), opening.close()]);

    expect((await opened).message).toContain('closed');
    // A client may let its last wait before another attempt run out.
    await expect.poll(() => watch.left()).toEqual([]);
  });

  it('lets the operations finish that came before close', async () => {
    // Nobody waits for them longer than a second.
    stopTime();
    const namespace = stage.anyNamespace();
    const [backend, other] = [stage.backend({ namespace }), stage.backend({ namespace })];
    await backend.set('key', BYTES, MINUTE_MS);
    // What the backend may have learnt of the namespace is over now.
    await other.clear();
    await other.set('large', Buffer.alloc(LARGE_BYTES), MINUTE_MS);
    const found = backend.get('large');
    const written = Array.from({ length: 50 }, (_, index) => backend.set(`${index}`, BYTES, MINUTE_MS));
    const replaced = backend.replace('replaced', undefined, BYTES, MINUTE_MS);
    await backend.close();

    expect((await found)?.bytes).toHaveLength(LARGE_BYTES);
    expect(await Promise.all([replaced, ...written])).not.toContain(undefined);
    expect(await other.getMany(['large', '0', '49', 'replaced'])).not.toContain(undefined);
  });

  it.each(OPERATIONS)('stays closed, also for the operation %s, and says what to do', async (_, operate) => {
    const backend = stage.backend();
    await backend.open();
    await backend.close();

    expect((await failureOf(operate(backend))).message).toMatch(/is closed.*open\(\)/);
  });

  it('is there again once it is opened again, and so is what was stored', async () => {
    const backend = stage.backend();
    await backend.set('key', BYTES, MINUTE_MS);
    await backend.close();
    await backend.close();
    await backend.open();

    expect(await backend.get('key')).toBeDefined();
  });

  it('obeys the last of open and close that was called', async () => {
    const backend = stage.backend();
    const overtaken = [failureOf(backend.open())];
    void backend.close();
    overtaken.push(failureOf(backend.open()));
    void backend.close();
    await backend.open();

    for (const failure of await Promise.all(overtaken)) expect(failure.message).toContain('closed');
    expect(await backend.set('key', BYTES, MINUTE_MS)).toBeDefined();
    void backend.close();
    overtaken.push(failureOf(backend.open()));
    await backend.close();
    expect((await failureOf(backend.get('key'))).message).toContain('closed');
  });
}
