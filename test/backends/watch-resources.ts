import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** What keeps a process from ending, or would fire in one that goes on. */
const WATCHED: ReadonlySet<string> = new Set(['Timeout', 'TCPWRAP']);

/** The connections that `fetch` keeps for the next request, and the date that Node's server keeps for a second. */
const NODES_OWN = /node:internal\/deps\/undici|at cache \(node:internal\/http/;

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
      if (!WATCHED.has(type)) return;
      const madeBy = stackOf();
      if (isOfAClient(madeBy)) alive.set(id, `${type}: ${madeBy}`);
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

/** Whether the innermost code that is not Node's own is neither of a spec nor of what runs it. */
function isOfAClient(stack: string): boolean {
  if (NODES_OWN.test(stack)) return false;
  const inFiles = stack.split('\n').filter((line) => line.includes('/'));
  const maker = inFiles.find((line) => !/node:|watch-resources/.test(line));
  return maker !== undefined && !/\/test\/|\/node_modules\/(@vitest|vitest|chai)\//.test(maker);
}

function stackOf(): string {
  const usualLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = usualLimit;
  return stack;
}
