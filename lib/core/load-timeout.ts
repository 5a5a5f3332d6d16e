import type { Awaitable } from '../backends/cache-backend.js';
import { LoadTimeoutError } from './errors.js';

/** Makes a value that is not in the cache. The signal aborts when nobody waits for the value any more. */
export type Load<T> = (signal: AbortSignal) => Awaitable<T>;

/**
 * Runs a load for at most `timeoutMs`. What a load that is late still answers, or throws, is dropped.
 *
 * @throws LoadTimeoutError after that time; else what the load throws, unchanged
 */
export async function runWithTimeout<T>(load: Load<T>, key: string, timeoutMs: number): Promise<T> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new LoadTimeoutError(key, timeoutMs);
      reject(error);
      abort.abort(error);
    }, timeoutMs);
  });
  try {
    return await Promise.race([load(abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
