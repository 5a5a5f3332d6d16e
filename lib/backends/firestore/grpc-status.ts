/** The codes of gRPC that Firestore answers with and that mean something here. */
export const GrpcStatus = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** Where `RunningCalls` keeps the code that the server answered with, on an error of the client. */
export const ANSWERED_CODE = Symbol('code of the answer');

/** The code that a call ended with; `undefined` for an error that did not come from a call. */
export function codeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code: unknown = Reflect.get(error, ANSWERED_CODE) ?? Reflect.get(error, 'code');
  return typeof code === 'number' ? code : undefined;
}
