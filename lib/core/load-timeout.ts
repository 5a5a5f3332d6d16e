import type { Awaitable } from '../backends/cache-backend.js';
import { LoadTimeoutError } from './errors.js';

/** Makes a value that is not in the cache. The signal aborts when its `loadTimeout` is over. */
export type Load<T> = (signal: AbortSignal) => Awaitable<T>;

/**
 * Runs a load for at most `timeoutMs`. What a load that is late still answers, or throws, is dropped.
 *
 * @throws LoadTimeoutError after that time; else what the load throws, unchanged
 */
export function runWithTimeout<T>(load: Load<T>, key: string, timeoutMs: number): Promise<T> {
  if (takesNothing(load)) return waitWithTimeout(start(load as () => Awaitable<T>), key, timeoutMs);
  const abort = new AbortController();
  const running = start(() => load(abort.signal));
  return waitWithTimeout(running, key, timeoutMs, (error) => abort.abort(error));
}

/**
 * Waits at most `timeoutMs` for a load that is running.
 *
 * @param onTimeout is told of it after that time
 * @throws LoadTimeoutError after that time; else what the load throws, unchanged
 */
export function waitWithTimeout<T>(
  running: Promise<T>,
  key: string,
  timeoutMs: number,
  onTimeout?: (error: LoadTimeoutError) => void,
): Promise<T> {
  // One promise and one timer, by hand: `Promise.race` makes four promises, for every load.
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new LoadTimeoutError(key, timeoutMs);
      reject(error);
      onTimeout?.(error);
    }, timeoutMs);
    running.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}

/** A promise also of a load that throws, or answers at once. */
async function start<T>(load: () => Awaitable<T>): Promise<T> {
  return load();
}

/** `() =>`, `async () =>`: an arrow function that names no parameter has no other way to its arguments. */
const NO_PARAMETERS = /^(?:async\s*)?\(\s*\)\s*=>/;

/**
 * Whether a load can't get at its signal, which then need not be made: that takes longer than all the rest of a load in
 * memory. Its `length` does not say so, which is 0 for `(...all) =>` too; its text does. Of a bound function, a Proxy or a
 * function of Node's own it is `function () { [native code] }`.
 */
function takesNothing(load: Load<unknown>): boolean {
  return load.length === 0 && NO_PARAMETERS.test(Function.prototype.toString.call(load));
}
