import type { Awaitable } from '../backends/cache-backend.js';
import { type EntryKey, readable } from './entry-key.js';
import { LoadTimeoutError } from './errors.js';

/**
 * Makes a value that is not in the cache. The signal aborts when its `loadTimeout` is over; of a refresh in the background
 * also when the app that shuts down has waited for it long enough.
 */
export type Load<T> = (signal: AbortSignal) => Awaitable<T>;

/**
 * Runs a load for at most `timeoutMs`. What a load that is late still answers, or throws, is dropped.
 *
 * @param abort gives the load up before that time. Absent: nothing does
 * @throws LoadTimeoutError after that time; the reason of `abort`; else what the load throws, unchanged
 */
export function runWithTimeout<T>(
  load: Load<T>,
  key: EntryKey,
  timeoutMs: number,
  abort?: AbortController,
): Promise<T> {
  if (abort === undefined && takesNothing(load)) {
    return waitWithTimeout(start(load as () => Awaitable<T>), timeoutMs, () => {
      throw new LoadTimeoutError(readable(key), timeoutMs);
    });
  }
  const controller = abort ?? new AbortController();
  const { signal } = controller;
  const running = start(() => {
    signal.throwIfAborted();
    return load(signal);
  });
  const onTimeout = (): never => {
    const error = new LoadTimeoutError(readable(key), timeoutMs);
    controller.abort(error);
    throw error;
  };
  return waitWithTimeout(running, timeoutMs, onTimeout, abort?.signal);
}

/**
 * Waits at most `timeoutMs` for a load that is running.
 *
 * @param onTimeout says what comes after that time: it may throw, or wait on
 * @param signal ends the wait with its reason. Absent: nothing does
 */
export function waitWithTimeout<T>(
  running: Promise<T>,
  timeoutMs: number,
  onTimeout: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  // One promise and one timer, by hand: `Promise.race` makes four promises, for every load.
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      try {
        resolve(onTimeout());
      } catch (error) {
        reject(error as Error);
      }
    }, timeoutMs);
    const giveUp = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
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

/** A promise also of a load that throws, or answers at once. One of Node's own is answered as it is. */
function start<T>(load: () => Awaitable<T>): Promise<T> {
  try {
    return Promise.resolve(load());
  } catch (error) {
    return Promise.reject(error as Error);
  }
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
