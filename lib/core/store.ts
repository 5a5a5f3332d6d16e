import { types } from 'node:util';
import type { Awaitable, CacheBackend, Stored } from '../backends/cache-backend.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { CLEAR_DEADLINE_MS, withDeadline } from './deadline.js';
import { type EntryKey, readable } from './entry-key.js';
import {
  BackendTimeoutError,
  BackendUnavailableError,
  CachekitError,
  EntryTooLargeError,
  excerpt,
  messageOf,
} from './errors.js';
import type { BackendOperation, CacheEventListener } from './events.js';
import { ResidentEntry } from './resident-entry.js';

/**
 * The backend as the engine sees it: every operation has a deadline, every failure is a typed error and an event.
 * A synchronous answer passes straight through.
 */
export class Store {
  /** Called when an operation succeeds after others failed. */
  onRecovery: () => void = () => undefined;
  private readonly breaker: CircuitBreaker;
  private failing = false;
  /** Whether the backend asks one: then an answer at once is not its answer. */
  private hasServer = false;

  constructor(
    private readonly backend: CacheBackend,
    private readonly report: CacheEventListener,
  ) {
    this.breaker = new CircuitBreaker((state) => this.report({ type: 'breaker', state }));
  }

  /** How long a read may take, in milliseconds, before it counts as a miss. */
  get readDeadlineMs(): number {
    return this.backend.deadlines.readMs;
  }

  get(key: EntryKey): Awaitable<Stored | undefined> {
    if (this.breaker.isOpen) return this.getWhileOpen(key);
    // By hand, not by `guard`: this is on the way of every hit.
    let answer: Awaitable<Stored | undefined>;
    try {
      answer = this.backend.get(key);
    } catch (error) {
      throw this.failed('get', key, error);
    }
    if (!(answer instanceof ResidentEntry) && isPromise(answer)) {
      return this.await('get', key, this.readDeadlineMs, answer);
    }
    if (!this.hasServer) this.succeeded();
    return answer;
  }

  getMany(keys: readonly EntryKey[]): Awaitable<readonly (Stored | undefined)[]> {
    const known = this.breaker.isOpen ? this.backend.peek(keys) : undefined;
    if (known !== undefined) return known;
    return this.guard('get', keys[0], this.readDeadlineMs, () => this.backend.getMany(keys));
  }

  set(key: EntryKey, bytes: Uint8Array, ttlMs: number): Awaitable<Stored> {
    return this.guard('set', key, this.writeDeadlineMs, () => this.backend.set(key, bytes, ttlMs));
  }

  replace(
    key: EntryKey,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Awaitable<Stored | undefined> {
    return this.guard('replace', key, this.writeDeadlineMs, () =>
      this.backend.replace(key, seen, bytes, ttlMs),
    );
  }

  delete(keys: readonly EntryKey[]): Awaitable<void> {
    return this.guard('delete', keys[0], this.writeDeadlineMs, () => this.backend.delete(keys));
  }

  clear(): Awaitable<void> {
    return this.guard('clear', undefined, CLEAR_DEADLINE_MS, () => this.backend.clear());
  }

  private getWhileOpen(key: EntryKey): Awaitable<Stored | undefined> {
    const known = this.backend.peek([key]);
    if (known !== undefined) return known[0];
    return this.guard('get', key, this.readDeadlineMs, () => this.backend.get(key));
  }

  /** How long a write may take, in milliseconds, before it counts as failed. */
  private get writeDeadlineMs(): number {
    return this.backend.deadlines.writeMs;
  }

  private guard<T>(
    operation: BackendOperation,
    key: EntryKey | undefined,
    deadlineMs: number,
    run: () => Awaitable<T>,
  ): Awaitable<T> {
    if (!this.breaker.admits()) throw this.notTried(operation, key);
    try {
      const answer = run();
      if (isPromise(answer)) return this.await(operation, key, deadlineMs, answer);
      if (!this.hasServer) this.succeeded();
      return answer;
    } catch (error) {
      throw this.failed(operation, key, error);
    }
  }

  private await<T>(
    operation: BackendOperation,
    key: EntryKey | undefined,
    deadlineMs: number,
    answer: Promise<T>,
  ): Promise<T> {
    this.hasServer = true;
    return withDeadline(answer, deadlineMs, () => this.describe(operation, key), {
      succeeded: () => this.succeeded(),
      failed: (error) => this.failed(operation, key, error),
    });
  }

  private succeeded(): void {
    this.breaker.answered();
    if (!this.failing) return;
    this.failing = false;
    this.onRecovery();
  }

  private failed(operation: BackendOperation, key: EntryKey | undefined, cause: unknown): CachekitError {
    const error = cause instanceof CachekitError ? cause : this.unavailable(operation, key, cause);
    if (error instanceof BackendTimeoutError) this.breaker.timedOut();
    else this.breaker.answered();
    // The backend works: the entry is at fault, and the caller knows what that means.
    if (error instanceof EntryTooLargeError) return error;
    this.failing = true;
    this.report({ type: 'error', operation, error, ...(key !== undefined && { key: readable(key) }) });
    return error;
  }

  /** No event: it would be one for every request while the backend is silent. */
  private notTried(operation: BackendOperation, key: EntryKey | undefined): BackendUnavailableError {
    return new BackendUnavailableError(
      `${this.describe(operation, key)}: not tried, since the backend did not answer the last operations in time. ` +
        'It is tried again within a second.',
    );
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

/** Also one of a library (Bluebird's, Knex's), which TypeScript takes for one of Node's. */
function isPromise<T>(answer: Awaitable<T>): answer is Promise<T> {
  if (types.isPromise(answer)) return true;
  return typeof answer === 'object' && answer !== null && 'then' in answer;
}
