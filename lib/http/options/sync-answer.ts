import { types } from 'node:util';

/**
 * What a callback answered, which must be there now. A promise is refused, and its rejection caught: nobody else would
 * wait for it, and Node ends a process over an unhandled rejection.
 *
 * @param option the name of the callback's option, for the message
 * @throws TypeError for a promise
 */
export function syncAnswer<T>(answer: T, option: string): T {
  if (!types.isPromise(answer)) return answer;
  answer.catch(() => {
    // The TypeError below says what is wrong.
  });
  throw new TypeError(`the option ${option} must answer at once, not by a promise`);
}
