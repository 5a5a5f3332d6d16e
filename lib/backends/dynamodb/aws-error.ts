import { types } from 'node:util';
import { clientMessage, withoutSecrets } from '../failure.js';

/** DynamoDB asks for less. */
const THROTTLED = ['ProvisionedThroughputExceededException', 'ThrottlingException', 'RequestLimitExceeded'];

/** DynamoDB has a fault of its own. */
const FAULTS = ['InternalServerError', 'ServiceUnavailable', 'ServiceUnavailableException'];

/** What AWS answers to keys that are wrong, unknown, over or not there. */
const REFUSED_CREDENTIALS = [
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'IncompleteSignatureException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'MissingAuthenticationTokenException',
  'MissingAuthenticationToken',
  'SignatureDoesNotMatch',
  'ExpiredTokenException',
];

/** What the SDK throws before it asks AWS. */
const NO_CREDENTIALS = ['CredentialsProviderError', 'TokenProviderError'];

// By their names: a class check would miss the errors of another copy of the SDK.

/** Whether somebody else was first. */
export function isConditionFailed(error: unknown): boolean {
  return nameOf(error) === 'ConditionalCheckFailedException';
}

/** Whether there is no such table yet: one that is being created counts as missing. */
export function isTableMissing(error: unknown): boolean {
  return nameOf(error) === 'ResourceNotFoundException';
}

/** Whether somebody else creates, changes or drops the table at this moment, or has created it. */
export function isTableInUse(error: unknown): boolean {
  return nameOf(error) === 'ResourceInUseException';
}

/** Whether the key of the table is not the one that was asked for. */
export function isOtherKey(error: unknown): boolean {
  return isInvalid(error, /key element|key schema|missing the key|mismatch for key/i);
}

/** Whether the item is larger than DynamoDB's limit. */
export function isItemTooLarge(error: unknown): boolean {
  return isInvalid(error, /item size has exceeded/i);
}

/** Whether the time-to-live attribute is set already, since another process was as fast. */
export function isTimeToLiveSet(error: unknown): boolean {
  return isInvalid(error, /already enabled|modified multiple times/i);
}

/** Whether the server does not know the command: imitations of DynamoDB don't know all of them. */
export function isUnknownCommand(error: unknown): boolean {
  return nameOf(error) === 'UnknownOperationException';
}

/** Whether there are no credentials to ask with. */
export function hasNoCredentials(error: unknown): boolean {
  return NO_CREDENTIALS.includes(nameOf(error));
}

/** Whether AWS did not accept the credentials. */
export function areCredentialsRefused(error: unknown): boolean {
  return REFUSED_CREDENTIALS.includes(nameOf(error));
}

/** Whether AWS knows who asks, and that they may not. */
export function isPermissionMissing(error: unknown): boolean {
  return nameOf(error) === 'AccessDeniedException';
}

/** Whether there were more requests than the table may take. */
export function isThrottled(error: unknown): boolean {
  return THROTTLED.includes(nameOf(error));
}

/** Whether the same request may well be granted in a moment. */
export function isPassing(error: unknown): boolean {
  const status = metadataOf(error).httpStatusCode;
  return isThrottled(error) || FAULTS.includes(nameOf(error)) || status === 500 || status === 503;
}

/** Whether the connection broke: where it had waited for work too long, another one helps. */
export function isConnectionLost(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '');
}

/** Whether no answer came in time. (The SDK calls lost connections so too.) */
export function isSilence(error: unknown): boolean {
  return ['TimeoutError', 'AbortError'].includes(nameOf(error)) && !isConnectionLost(error);
}

/** Whether there was an answer, whatever it says. */
export function isAnswer(error: unknown): boolean {
  return metadataOf(error).httpStatusCode !== undefined;
}

/** How often the SDK has sent the request that ended so. One that does not tell may have sent it twice. */
export function attemptsOf(error: unknown): number {
  return metadataOf(error).attempts ?? 2;
}

/** An error of the SDK for a log, with the id of its request: the original has the whole answer hidden in it. */
export function causeOf(error: unknown): Error {
  const copy = withoutSecrets(error, messageOf(error));
  const { requestId } = metadataOf(error);
  return requestId === undefined ? copy : Object.assign(copy, { requestId });
}

function isInvalid(error: unknown, message: RegExp): boolean {
  return nameOf(error) === 'ValidationException' && message.test(messageOf(error));
}

function messageOf(error: unknown): string {
  return clientMessage(error, ({ name, message }) =>
    // JSON.parse repeats what it could not read, which is part of an answer.
    name === 'SyntaxError'
      ? 'the answer is not one of DynamoDB'
      : // Further lines repeat the signed request, with its session token.
        (message.split('\n')[0] ?? ''),
  );
}

function nameOf(error: unknown): string {
  return types.isNativeError(error) ? error.name : '';
}

function codeOf(error: unknown): string | undefined {
  if (!types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What the SDK adds to every error that has to do with a request. */
interface Metadata {
  readonly attempts?: number;
  readonly httpStatusCode?: number;
  readonly requestId?: string;
}

function metadataOf(error: unknown): Metadata {
  if (!types.isNativeError(error) || !('$metadata' in error)) return {};
  return (error.$metadata as Metadata | undefined) ?? {};
}
