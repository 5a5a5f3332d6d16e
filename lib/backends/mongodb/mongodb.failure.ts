import { types } from 'node:util';
import { BackendUnavailableError, CachekitConfigError, CachekitError } from '../../core/errors.js';
import { clientMessage, withoutSecrets } from '../failure.js';

const [UNAUTHORIZED, AUTHENTICATION_FAILED, WRITE_CONCERN_TIMEOUT] = [13, 18, 64];

/** The number that MongoDB gives to an error; undefined for what is no error of MongoDB. */
export function codeOf(error: unknown): number | undefined {
  if (!types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}

/** Whether a user lacks the right to do something. */
export function isUnauthorized(error: unknown): boolean {
  return codeOf(error) === UNAUTHORIZED;
}

/** Whether the driver says that its own view of the servers is closed, after connecting has failed. */
export function isTopologyClosed(error: unknown): boolean {
  return types.isNativeError(error) && error.name === 'MongoTopologyClosedError';
}

/**
 * The server is away now.
 *
 * @param problem the last thing that was heard of it; undefined where nothing was
 */
export function awayError(place: string, problem: unknown): Error {
  if (problem instanceof CachekitError) return problem;
  const cause = problem === undefined ? undefined : causeOf(problem);
  return new BackendUnavailableError(
    `MongoDBBackend: no connection to ${place}${cause ? ` (${cause.message})` : ''}. ${adviceFor(problem)}`,
    cause ? { cause } : {},
  );
}

function adviceFor(problem: unknown): string {
  if (codeOf(problem) === AUTHENTICATION_FAILED) {
    return 'Check user, password and authSource (the database that knows the user, often "admin").';
  }
  return 'Check that MongoDB runs there and that address, user, password and TLS are right.';
}

/** A command has failed. `problem` is what was heard of the server, where it is away now. */
export function commandError(place: string, error: unknown, problem: unknown): Error {
  if (error instanceof CachekitError) return error;
  const failure = causeOf(error);
  const code = codeOf(error);
  if (code === WRITE_CONCERN_TIMEOUT) {
    return new BackendUnavailableError(
      `MongoDBBackend: ${place} did not acknowledge a write as \`writeConcern\` asks for: ${failure.message}. ` +
        'It has taken effect on the primary. Check the other members of the replica set.',
      { cause: failure },
    );
  }
  if (code !== undefined) {
    return new BackendUnavailableError(
      `MongoDBBackend: ${place} refused a command: ${failure.message}${hintFor(code)}`,
      { cause: failure },
    );
  }
  const reason = problem === undefined ? failure.message : `${failure.message} (${causeOf(problem).message})`;
  return new BackendUnavailableError(
    `MongoDBBackend: a command to ${place} was not answered: ${reason}. A write may still have taken effect.`,
    { cause: failure },
  );
}

function hintFor(code: number): string {
  if (code === UNAUTHORIZED) return ' Grant the user the role "readWrite" on the database.';
  if (code === AUTHENTICATION_FAILED) return ' Check user, password and authSource.';
  return '';
}

/** What the driver says to the url or the options. Its messages may repeat the url, with the password in it. */
export function optionsError(error: unknown): CachekitConfigError {
  const cause = causeOf(error);
  return new CachekitConfigError(
    `MongoDBBackend: the package "mongodb" refuses the url or the options: ${cause.message}`,
    { cause },
  );
}

/** An error of the driver for a log, without urls. Of a network error the system's own code says most (ECONNREFUSED). */
function causeOf(error: unknown): Error {
  const copy = withoutSecrets(
    error,
    clientMessage(error).replace(/mongodb(\+srv)?:\/\/\S*/g, 'mongodb://...'),
  );
  const reason = types.isNativeError(error) ? error.cause : undefined;
  if ('code' in copy || !types.isNativeError(reason) || !('code' in reason)) return copy;
  return Object.assign(copy, { code: reason.code });
}
