import { BackendTimeoutError } from './errors.js';

/** How long `clear` may take, in milliseconds: it walks through all entries of a namespace. */
export const CLEAR_DEADLINE_MS = 60_000;

/**
 * Settles as `answer` does, or rejects with a `BackendTimeoutError` once `deadlineMs` have passed.
 *
 * A busy event loop runs an overdue timer before it reads the socket on which the answer has long arrived. So the
 * timer alone does not decide: one poll phase later (`setImmediate` runs after it) an answer that was there in time
 * has settled.
 *
 * @param what names the operation and its place; only asked for a message
 */
export function withDeadline<T>(answer: Promise<T>, deadlineMs: number, what: () => string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let overdue: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      overdue = setImmediate(() => {
        reject(new BackendTimeoutError(`${what()}: no answer within ${deadlineMs} ms.`));
      });
    }, deadlineMs);
    const stop = (): void => {
      clearTimeout(timer);
      clearImmediate(overdue);
    };
    answer.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        // The reason is the client's own; it is not ours to require an Error of it.
        reject(error as Error);
      },
    );
  });
}
