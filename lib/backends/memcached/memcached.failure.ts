import { BackendTimeoutError, BackendUnavailableError } from '../../core/errors.js';
import { withoutSecrets } from '../failure.js';

/** There is no connection to this server now. `problem` is the last thing that went wrong. */
export function awayError(place: string, problem: unknown): BackendUnavailableError {
  const cause = problem === undefined ? undefined : withoutSecrets(problem);
  return new BackendUnavailableError(
    `MemcachedBackend: no connection to ${place}${cause ? ` (${cause.message})` : ''}. Check that memcached runs there ` +
      'and that address, user and password are right.',
    cause ? { cause } : {},
  );
}

/** The connection was lost while an operation was under way. */
export function unansweredError(place: string, problem: unknown): BackendUnavailableError {
  if (problem instanceof BackendTimeoutError) return problem;
  const cause = withoutSecrets(problem);
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
