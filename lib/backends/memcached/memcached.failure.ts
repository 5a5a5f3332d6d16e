import { BackendTimeoutError, BackendUnavailableError } from '../../core/errors.js';

/** There is no connection to this server now. `problem` is the last thing that went wrong. */
export function awayError(place: string, problem: unknown): BackendUnavailableError {
  const cause = problem === undefined ? undefined : copyOf(problem);
  return new BackendUnavailableError(
    `MemcachedBackend: no connection to ${place}${cause ? ` (${cause.message})` : ''}. Check that memcached runs there ` +
      'and that address, user and password are right.',
    cause ? { cause } : {},
  );
}

/** The connection was lost while an operation was under way. */
export function unansweredError(place: string, problem: unknown): BackendUnavailableError {
  if (problem instanceof BackendTimeoutError) return problem;
  const cause = copyOf(problem);
  return new BackendUnavailableError(
    `MemcachedBackend: a command to ${place} was not answered: ${cause.message}. A write may still have taken effect.`,
    { cause },
  );
}

/** The server has fallen silent. */
export function silenceError(place: string, silenceMs: number): BackendTimeoutError {
  return new BackendTimeoutError(
    `MemcachedBackend: no answer from ${place} for ${silenceMs} ms. A write may still have taken effect.`,
  );
}

/** The server answered, and said no. */
export function refusedError(place: string, reason: string): BackendUnavailableError {
  return new BackendUnavailableError(`MemcachedBackend: ${place} refused a command: ${reason}`);
}

export function closedError(): BackendUnavailableError {
  return new BackendUnavailableError(
    'MemcachedBackend: it is closed. Call open() before the next operation.',
  );
}

/** A copy with name, message and code alone: nobody knows what else an error carries into a log. */
function copyOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const copy = new Error(messageOf(error));
  copy.name = error.name;
  return 'code' in error ? Object.assign(copy, { code: error.code }) : copy;
}

function messageOf(error: Error): string {
  // Node joins the failures of IPv4 and IPv6 in an error without a message.
  if (error.message !== '' || !(error instanceof AggregateError)) return error.message || error.name;
  return error.errors
    .map((each: unknown) => (each instanceof Error ? each.message : String(each)))
    .join(', ');
}
