import { types } from 'node:util';
import { BackendUnavailableError } from '../core/errors.js';

/**
 * What an error of a client says. One without a message may have several in it (Node joins the failures of IPv4 and
 * IPv6 so), or a cause that says more.
 *
 * @param say what one error says that has a message. Default: its message
 */
export function clientMessage(error: unknown, say = (one: Error): string => one.message): string {
  if (!types.isNativeError(error)) return String(error);
  if (error.message) return say(error);
  const several: readonly unknown[] = 'errors' in error && Array.isArray(error.errors) ? error.errors : [];
  const joined = several.map((one) => clientMessage(one, say)).join(', ');
  const cause = types.isNativeError(error.cause) ? clientMessage(error.cause, say) : '';
  return joined || cause || error.name;
}

/**
 * A copy of a client's error with its name, its code and nothing else. The original may carry what was sent or
 * answered, and so passwords and the values of users, into every log that prints causes.
 *
 * @param message what the copy says. Default: what the error says
 */
export function withoutSecrets(error: unknown, message = clientMessage(error)): Error {
  const copy = new Error(message);
  if (!types.isNativeError(error)) return copy;
  copy.name = error.name;
  return 'code' in error && error.code !== undefined ? Object.assign(copy, { code: error.code }) : copy;
}

/**
 * What an operation rejects with after `close`.
 *
 * @param backend its class
 */
export function closedError(backend: string): BackendUnavailableError {
  return new BackendUnavailableError(`${backend}: it is closed. Call open() before the next operation.`);
}
