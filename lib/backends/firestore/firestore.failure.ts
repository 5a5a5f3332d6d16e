import { BackendUnavailableError } from '../../core/errors.js';
import { clientMessage, withoutSecrets } from '../failure.js';
import { codeOf, GrpcStatus } from './grpc-status.js';

/** Codes that say: nobody answered. With any other one, Firestore has. */
const UNANSWERED: readonly (number | undefined)[] = [
  GrpcStatus.CANCELLED,
  GrpcStatus.DEADLINE_EXCEEDED,
  GrpcStatus.UNAVAILABLE,
];

/** What to do about a refusal, by its code. */
const ADVICE: Readonly<Record<number, string>> = {
  [GrpcStatus.NOT_FOUND]:
    'Check projectId and databaseId, and that the database was created (in Native mode).',
  [GrpcStatus.PERMISSION_DENIED]:
    'Give the account the role roles/datastore.user on the project, and check that the Firestore API is enabled.',
  [GrpcStatus.RESOURCE_EXHAUSTED]: 'A quota is used up: see the usage of the database.',
  [GrpcStatus.FAILED_PRECONDITION]:
    'A sweep needs the automatic index of `expiresAt`: where it is switched off, give sweepInterval: Infinity.',
  [GrpcStatus.UNAUTHENTICATED]: 'Check the credentials.',
};

/** Whether the server is away, as far as this error of a call tells. */
export function isAway(error: unknown): boolean {
  return codeOf(error) === GrpcStatus.UNAVAILABLE;
}

/** Whether a call has got no answer in all its time. */
export function isOverdue(error: unknown): boolean {
  return codeOf(error) === GrpcStatus.DEADLINE_EXCEEDED;
}

/** The database is away now, or can't be used. `reason` is for when `problem` is not known. */
export function awayError(place: string, problem: unknown, reason?: string): BackendUnavailableError {
  const cause = problem === undefined ? undefined : causeOf(problem);
  const because = cause?.message ?? reason;
  return new BackendUnavailableError(
    `FirestoreBackend: no connection to ${place}${because === undefined ? '' : ` (${because})`}. ${adviceFor(problem)}`,
    cause ? { cause } : {},
  );
}

/** A call has failed. */
export function callError(place: string, error: unknown): BackendUnavailableError {
  const cause = causeOf(error);
  const what = isRefusal(error)
    ? `${place} refused an operation: ${cause.message}. ${adviceFor(error)}`
    : `an operation on ${place} was not answered: ${cause.message}. A write may still have taken effect.`;
  return new BackendUnavailableError(`FirestoreBackend: ${what}`.trimEnd(), { cause });
}

function adviceFor(problem: unknown): string {
  const code = codeOf(problem);
  if (isRefusal(problem) && code !== undefined) return ADVICE[code] ?? '';
  return 'Check project, database, credentials and network; an emulator needs `emulatorHost`.';
}

/** Whether Firestore has answered, with an error: trying again won't help. */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && !UNANSWERED.includes(code);
}

/** An error of the client for a log: what the server or gRPC said, without the code that the client puts before it. */
function causeOf(error: unknown): Error {
  const copy = withoutSecrets(error, clientMessage(error).replace(/^\d+ [A-Z_]+: /, ''));
  const code = codeOf(error);
  return code === undefined ? copy : Object.assign(copy, { code });
}
