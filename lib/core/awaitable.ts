import { types } from 'node:util';
import type { Awaitable } from '../backends/cache-backend.js';

/**
 * Goes on with an answer that may be there already: synchronously then, so that a backend in this process costs
 * no promise.
 */
export function andThen<T, R>(answer: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return types.isPromise(answer) ? answer.then(next) : next(answer);
}
