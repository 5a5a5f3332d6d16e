import { ANSWERED_CODE, GrpcStatus } from './grpc-status.js';

/** How long one call may take, in milliseconds. The cache above waits less; `clear` makes many calls. */
const CALL_LIMIT_MS = 15_000;

/** Codes that make the client try the same call again, by itself, for up to ten minutes. */
const RETRIED: readonly number[] = [
  GrpcStatus.DEADLINE_EXCEEDED,
  GrpcStatus.RESOURCE_EXHAUSTED,
  GrpcStatus.INTERNAL,
  GrpcStatus.UNAVAILABLE,
];

/** What is used of a call, its listener and its options, as @grpc/grpc-js has them. */
interface Call {
  start(metadata: unknown, listener?: Partial<Listener>): void;
  cancelWithStatus(code: number, details: string): void;
}
interface Listener {
  onReceiveMetadata(metadata: unknown): void;
  onReceiveMessage(message: unknown): void;
  onReceiveStatus(status: Status): void;
}
interface Status {
  readonly code: number;
  readonly [ANSWERED_CODE]?: number;
}
interface CallOptions {
  readonly deadline?: Date;
  readonly interceptors?: readonly Interceptor[];
}
type Interceptor = (options: CallOptions, next: (options: CallOptions) => Call) => Call;
interface CallProperties {
  readonly callOptions: CallOptions;
}

/**
 * All calls of one client: each is made once, ends in time, and can be ended.
 *
 * The client itself repeats a call that failed, for ten minutes: a write that was given up long ago then lands on
 * top of what was written meanwhile. And it closes only after its last call has ended.
 */
export class RunningCalls {
  readonly #running = new Set<Call>();
  #endedBy: string | undefined;

  /** What to give to the client as its setting `grpc.callInvocationTransformer`. */
  readonly transform = (properties: CallProperties): CallProperties => {
    const deadline = new Date(Date.now() + CALL_LIMIT_MS);
    return {
      ...properties,
      callOptions: { ...properties.callOptions, deadline, interceptors: [this.#watch] },
    };
  };

  /** Ends all calls, those that are still to come too. */
  end(reason: string): void {
    this.#endedBy = reason;
    for (const call of this.#running) call.cancelWithStatus(GrpcStatus.CANCELLED, reason);
  }

  readonly #watch: Interceptor = (options, next) => {
    const call = next(options);
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      this.#running.add(call);
      start(metadata, {
        onReceiveMetadata: (received) => listener?.onReceiveMetadata?.(received),
        onReceiveMessage: (message) => listener?.onReceiveMessage?.(message),
        onReceiveStatus: (status) => {
          this.#running.delete(call);
          listener?.onReceiveStatus?.(asFinal(status));
        },
      });
      if (this.#endedBy !== undefined) call.cancelWithStatus(GrpcStatus.CANCELLED, this.#endedBy);
    };
    return call;
  };
}

/** The client copies what it finds on a status to its error. */
function asFinal(status: Status): Status {
  if (!RETRIED.includes(status.code)) return status;
  return { ...status, code: GrpcStatus.UNKNOWN, [ANSWERED_CODE]: status.code };
}
