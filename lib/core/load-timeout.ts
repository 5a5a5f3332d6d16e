import type { Awaitable } from '../backends/cache-backend.js';
import { LoadTimeoutError } from './errors.js';

/** Makes a value that is not in the cache. The signal aborts when its `loadTimeout` is over. */
export type Load<T> = (signal: AbortSignal) => Awaitable<T>;

/**
 * Runs a load for at most `timeoutMs`. What a load that is late still answers, or throws, is dropped.
 *
 * @throws LoadTimeoutError after that time; else what the load throws, unchanged
 */
export async function runWithTimeout<T>(load: Load<T>, key: string, timeoutMs: number): Promise<T> {
  const abort = new AbortController();
  const running = (async () => load(abort.signal))();
  try {
    return await waitWithTimeout(running, key, timeoutMs);
  } catch (error) {
    if (error instanceof LoadTimeoutError) abort.abort(error);
    throw error;
  }
}

/**
 * Waits at most `timeoutMs` for a load that is running.
 *
 * @throws LoadTimeoutError after that time; else what the load throws, unchanged
 */
export async function waitWithTimeout<T>(running: Promise<T>, key: string, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LoadTimeoutError(key, timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}
