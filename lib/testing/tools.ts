import { randomBytes } from 'node:crypto';
import type { CacheBackend } from '../backends/cache-backend.js';

/** A key that no other test uses. */
export function anyKey(): string {
  return `key-${randomBytes(8).toString('hex')}`;
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of bytes; `undefined` for none. */
export function text(stored: { readonly bytes: Uint8Array } | undefined): string | undefined {
  return stored && new TextDecoder().decode(stored.bytes);
}

/** A promise that the test settles, and one that tells when the code under test has come to it. */
export interface Gate<T> {
  /** Give this as the load: it waits until `open` or `fail` is called. */
  readonly load: () => Promise<T>;
  /** Resolves when the load was called. */
  readonly reached: Promise<void>;
  readonly open: (value: T) => void;
  readonly fail: (error: Error) => void;
  /** How often the load was called. */
  readonly calls: () => number;
}

/** A load that ends when the test says so. */
export function gate<T>(): Gate<T> {
  let calls = 0;
  let open!: (value: T) => void;
  let fail!: (error: Error) => void;
  let reach!: () => void;
  const result = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const load = (): Promise<T> => {
    calls++;
    reach();
    return result;
  };
  return { load, reached, open, fail, calls: () => calls };
}

/** Lets time pass: only for what is about time itself, which is expiry. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/**
 * Answers what `attempt` saw of something that lasts for the time it is given. Where the machine stood still until
 * that was over, nothing can be said, and it is tried again with twice the time.
 */
export async function whileItLasts<T>(ttlMs: number, attempt: (ttlMs: number) => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const seen = await attempt(ttlMs);
  const tookMs = performance.now() - startedMs;
  return tookMs < ttlMs ? seen : whileItLasts(2 * ttlMs, attempt);
}

/**
 * Writes an entry under each of many keys, with the key as its bytes: some at a time, since how many a backend takes
 * at once on a machine that is busy with other tests is not what the test is about.
 */
export async function writeMany(backend: CacheBackend, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += AT_A_TIME) {
    const some = keys.slice(from, from + AT_A_TIME);
    await Promise.all(some.map(async (key) => backend.set(key, bytes(key), 60_000)));
  }
}

const AT_A_TIME = 50;
