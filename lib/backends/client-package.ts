import { types } from 'node:util';
import { MissingClientError } from '../core/errors.js';

/**
 * What to throw when the import of a backend's client package failed: a `MissingClientError` if that package
 * itself is not there, else the error as it is (the package is there, but something in it is broken).
 *
 * The import itself stays in the backend, with a literal specifier, since bundlers can't follow another.
 */
export function explainFailedImport(error: unknown, packageName: string, backend: string): unknown {
  if (!isMissing(error, packageName)) return error;
  return new MissingClientError(
    `${backend} needs the package "${packageName}", which is not installed. Run: npm install ${packageName}`,
    { cause: error },
  );
}

function isMissing(error: unknown, packageName: string): boolean {
  // Not `instanceof Error`: under Jest the resolver's errors come from another realm.
  if (!types.isNativeError(error) || !('code' in error)) return false;
  const absent = error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND';
  // Node names what it did not find in quotes; a dependency of the client that is missing has another name.
  return absent && new RegExp(`['"]${packageName}['"]`).test(error.message.split('\n')[0] ?? '');
}
