import { types } from 'node:util';
import type { Awaitable, CacheBackend, Stored } from '../backends/cache-backend.js';
import { CLEAR_DEADLINE_MS, READ_DEADLINE_MS, withDeadline, WRITE_DEADLINE_MS } from './deadline.js';
import { type EntryKey, readable } from './entry-key.js';
import { BackendUnavailableError, CachekitError, EntryTooLargeError, excerpt, messageOf } from './errors.js';
import type { BackendOperation, CacheEventListener } from './events.js';

/**
 * The backend as the engine sees it: every operation has a deadline, every failure is a typed error and an event.
 * A synchronous answer passes straight through.
 */
export class Store {
  constructor(
    private readonly backend: CacheBackend,
    private readonly report: CacheEventListener,
  ) {}

  get(key: EntryKey): Awaitable<Stored | undefined> {
    return this.guard('get', key, READ_DEADLINE_MS, () => this.backend.get(key));
  }

  getMany(keys: readonly EntryKey[]): Awaitable<readonly (Stored | undefined)[]> {
    return this.guard('get', keys[0], READ_DEADLINE_MS, () => this.backend.getMany(keys));
  }

  set(key: EntryKey, bytes: Uint8Array, ttlMs: number): Awaitable<Stored> {
    return this.guard('set', key, WRITE_DEADLINE_MS, () => this.backend.set(key, bytes, ttlMs));
  }

  replace(
    key: EntryKey,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Awaitable<Stored | undefined> {
    return this.guard('replace', key, WRITE_DEADLINE_MS, () => this.backend.replace(key, seen, bytes, ttlMs));
  }

  delete(keys: readonly EntryKey[]): Awaitable<void> {
    return this.guard('delete', keys[0], WRITE_DEADLINE_MS, () => this.backend.delete(keys));
  }

  clear(): Awaitable<void> {
    return this.guard('clear', undefined, CLEAR_DEADLINE_MS, () => this.backend.clear());
  }

  private guard<T>(
    operation: BackendOperation,
    key: EntryKey | undefined,
    deadlineMs: number,
    run: () => Awaitable<T>,
  ): Awaitable<T> {
    try {
      const answer = run();
      if (!types.isPromise(answer)) return answer;
      return withDeadline(answer, deadlineMs, this.describe(operation, key)).catch((error: unknown) => {
        throw this.failed(operation, key, error);
      });
    } catch (error) {
      throw this.failed(operation, key, error);
    }
  }

  private failed(operation: BackendOperation, key: EntryKey | undefined, cause: unknown): CachekitError {
    const error = cause instanceof CachekitError ? cause : this.unavailable(operation, key, cause);
    // The backend works: the entry is at fault, and the caller knows what that means.
    if (error instanceof EntryTooLargeError) return error;
    this.report({ type: 'error', operation, error, ...(key !== undefined && { key: readable(key) }) });
    return error;
  }

  private unavailable(
    operation: BackendOperation,
    key: EntryKey | undefined,
    cause: unknown,
  ): BackendUnavailableError {
    return new BackendUnavailableError(`${this.describe(operation, key)}: ${messageOf(cause)}`, { cause });
  }

  private describe(operation: BackendOperation, key: EntryKey | undefined): string {
    const place = `${this.backend.constructor.name}.${operation}`;
    return key === undefined ? place : `${place}("${excerpt(readable(key))}")`;
  }
}
