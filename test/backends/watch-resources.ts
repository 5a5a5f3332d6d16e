import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** What was made since `watchResources` was called. */
export interface Watch {
  /** The stack of the making of everything that is still there. */
  left(): Promise<string[]>;
}

/** Watches, until the test ends, the sockets and timers that a backend and its client make. */
export function watchResources(): Watch {
  const alive = new Map<number, string>();
  // Specs share a worker: what goes on there for the sake of others is none of this test's business.
  const ofThisTest = new AsyncLocalStorage<boolean>();
  ofThisTest.enterWith(true);
  const hook = createHook({
    init(id, type) {
      if (ofThisTest.getStore() !== true) return;
      const madeBy = type === 'Timeout' || type === 'TCPWRAP' ? stackOf() : '';
      if (/\/ioredis\/|\/lib\/(backends|core|http)\//.test(madeBy)) alive.set(id, `${type}: ${madeBy}`);
    },
    destroy(id) {
      alive.delete(id);
    },
  }).enable();
  onTestFinished(() => void hook.disable());
  const left = async (): Promise<string[]> => {
    // Node tells of an end in a later turn.
    await setImmediate();
    return [...alive.values()];
  };
  return { left };
}

function stackOf(): string {
  const usualLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = usualLimit;
  return stack;
}
