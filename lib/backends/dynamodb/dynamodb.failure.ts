import {
  BackendTimeoutError,
  BackendUnavailableError,
  CachekitConfigError,
  CachekitError,
} from '../../core/errors.js';
import {
  areCredentialsRefused,
  causeOf,
  hasNoCredentials,
  isAnswer,
  isOtherKey,
  isPermissionMissing,
  isSilence,
  isTableMissing,
  isThrottled,
} from './aws-error.js';

const THROTTLED_ADVICE = 'It is throttled: raise its capacity, or bill it on demand.';

/** The error to throw to the layer above: typed, without secrets, and with advice. */
export function explain(error: unknown, place: string): CachekitError {
  if (error instanceof CachekitError) return error;
  const cause = causeOf(error);
  if (isSilence(error)) {
    return new BackendTimeoutError(
      `DynamoDBBackend: no answer from ${place} (${cause.message}). A write may still have taken effect.`,
      { cause },
    );
  }
  return new BackendUnavailableError(`DynamoDBBackend: ${say(error, cause, place)}`, { cause });
}

function say(error: unknown, { name, message }: Error, place: string): string {
  if (isTableMissing(error)) {
    return (
      `there is no ${place}, or it is still being created. Check table, region and endpoint; create it (partition ` +
      'key "pk", sort key "sk", both strings), or give { createTable: true }.'
    );
  }
  if (isOtherKey(error)) {
    return `${place} has other keys (${message}). It takes a partition key "pk" and a sort key "sk", both strings.`;
  }
  if (hasNoCredentials(error)) {
    return (
      `no credentials for ${place} (${message}). Give \`credentials\`, or set AWS_ACCESS_KEY_ID and ` +
      'AWS_SECRET_ACCESS_KEY, or run it under a role.'
    );
  }
  if (areCredentialsRefused(error)) {
    return `${place} refused the credentials (${name}: ${message}). Check keys, region, and the clock of this machine.`;
  }
  if (isPermissionMissing(error)) {
    return (
      `no permission on ${place} (${message}). Allow dynamodb:GetItem, BatchGetItem, PutItem, BatchWriteItem and ` +
      'Query; for createTable also CreateTable, DescribeTable and UpdateTimeToLive.'
    );
  }
  if (isThrottled(error)) return `${place} refused: ${name}: ${message}. ${THROTTLED_ADVICE}`;
  if (isAnswer(error)) return `${place} refused: ${name}: ${message}`;
  return (
    `no connection to ${place} (${message}). Check endpoint, region and network. A write may still have taken ` +
    'effect.'
  );
}

/** A region that is missing is the app's own mistake, which no waiting heals. */
export function noRegionError(error: unknown): CachekitError {
  const cause = causeOf(error);
  return new CachekitConfigError(
    `DynamoDBBackend: no region (${cause.message}). Give \`region\`, for instance "eu-west-1", or set AWS_REGION. ` +
      'A DynamoDB on this machine takes any.',
    { cause },
  );
}

/** Of a batch nothing was done, time and again. */
export function throttledError(place: string): CachekitError {
  return new BackendUnavailableError(
    `DynamoDBBackend: ${place} left parts of a batch undone, time and again. ${THROTTLED_ADVICE}`,
  );
}
