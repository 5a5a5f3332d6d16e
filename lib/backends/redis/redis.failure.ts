import { BackendUnavailableError } from '../../core/errors.js';
import { clientMessage, withoutSecrets } from '../failure.js';

/** Whether a command was not answered within ioredis' `commandTimeout`. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Command timed out';
}

/** Whether the server answered that it won't do it. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * The connection is away now.
 *
 * @param problem the last thing the client said; undefined where it said nothing
 * @param outlook what happens next; absent where it depends on who asks: an app may refuse to start
 */
export function awayError(place: string, problem: unknown, outlook = ''): BackendUnavailableError {
  const cause = problem === undefined ? undefined : causeOf(problem);
  return new BackendUnavailableError(
    `RedisBackend: no connection to ${place}${cause ? ` (${cause.message})` : ''}. Check that Redis runs there ` +
      `and that address, user, password and TLS are right.${outlook && ` ${outlook}`}`,
    cause ? { cause } : {},
  );
}

/** A command has failed. `problem` is what the client said of its connection, where it is not up any more. */
export function commandError(place: string, error: unknown, problem: unknown): BackendUnavailableError {
  const failure = causeOf(error);
  if (isRefusal(failure)) {
    return new BackendUnavailableError(`RedisBackend: ${place} refused a command: ${failure.message}`, {
      cause: failure,
    });
  }
  const cause = problem === undefined ? failure : causeOf(problem);
  // The sentence goes on.
  const what = failure.message.replace(/\.$/, '');
  const reason = problem === undefined ? what : `${what} (${cause.message})`;
  return new BackendUnavailableError(
    `RedisBackend: a command to ${place} was not answered: ${reason}. A write may still have taken effect.`,
    { cause },
  );
}

/**
 * An error of ioredis for a log: the original carries the arguments of the command, passwords (of AUTH and HELLO) among
 * them. "unknown command" repeats them in its message too: for a server without HELLO, the password.
 */
function causeOf(error: unknown): Error {
  const root = rootOf(error);
  return withoutSecrets(root, clientMessage(root).replace(/,? with args beginning with:[^]*/, ''));
}

/** A Cluster that finds no node says so, and has the reason in `lastNodeError`. */
function rootOf(error: unknown): unknown {
  if (!(error instanceof Error) || !('lastNodeError' in error)) return error;
  return error.lastNodeError ?? error;
}
