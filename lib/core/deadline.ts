import { BackendTimeoutError } from './errors.js';

/** How long `clear` may take, in milliseconds: it walks through all entries of a namespace. */
export const CLEAR_DEADLINE_MS = 60_000;

/** Is told how an answer ended. */
export interface Outcome {
  succeeded(): void;
  /** Answers what to reject with. */
  failed(error: unknown): Error;
}

/**
 * Settles as `answer` does, or rejects with a `BackendTimeoutError` once `deadlineMs` have passed.
 *
 * A busy event loop runs an overdue timer before it reads the socket on which the answer has long arrived. So the
 * timer alone does not decide: one poll phase later (`setImmediate` runs after it) an answer that was there in time
 * has settled.
 *
 * @param what names the operation and its place; only asked for a message
 * @param outcome is told of it here, and not in a `then`, since this is on the way of every hit. Absent: nobody is
 */
export function withDeadline<T>(
  answer: Promise<T>,
  deadlineMs: number,
  what: () => string,
  outcome: Outcome = NOBODY,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let isLate = false;
    let overdue: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      overdue = setImmediate(() => {
        isLate = true;
        reject(outcome.failed(new BackendTimeoutError(`${what()}: no answer within ${deadlineMs} ms.`)));
      });
    }, deadlineMs);
    const stop = (): void => {
      clearTimeout(timer);
      clearImmediate(overdue);
    };
    answer.then(
      (value) => {
        if (isLate) return;
        stop();
        outcome.succeeded();
        resolve(value);
      },
      (error: unknown) => {
        if (isLate) return;
        stop();
        reject(outcome.failed(error));
      },
    );
  });
}

const NOBODY: Outcome = {
  succeeded: () => undefined,
  // The reason is the client's own; it is not ours to require an Error of it.
  failed: (error) => error as Error,
};
