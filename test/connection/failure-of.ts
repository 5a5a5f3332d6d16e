import { inspect } from 'node:util';
import { BackendUnavailableError } from 'nestjs-cachekit';

/**
 * The error with which an operation says that its server is not to be had. Rejects when it worked, or failed otherwise.
 *
 * @param operation what it returned, a promise or not
 */
export async function failureOf(operation: unknown): Promise<BackendUnavailableError> {
  try {
    await operation;
  } catch (error) {
    if (error instanceof BackendUnavailableError) return error;
    throw new Error(`Not a BackendUnavailableError: ${inspect(error)}`, { cause: error });
  }
  throw new Error('Not a BackendUnavailableError: it worked.');
}
