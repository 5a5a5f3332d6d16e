/** An error as MongoDB's clients know it. */
export class CommandError extends Error {
  constructor(
    readonly code: number,
    readonly codeName: string,
    message: string,
  ) {
    super(message);
  }
}

type Known = readonly [code: number, codeName: string];

/** SQLSTATEs of Postgres, and those that DocumentDB made for MongoDB's codes, which all begin with M. */
const KNOWN: Readonly<Record<string, Known>> = {
  '22P02': [2, 'BadValue'],
  '23505': [11_000, 'DuplicateKey'],
  '40001': [112, 'WriteConflict'],
  '40P01': [112, 'WriteConflict'],
  '42501': [13, 'Unauthorized'],
  '57014': [50, 'MaxTimeMSExpired'],
  M0001: [2, 'BadValue'],
  M0008: [26, 'NamespaceNotFound'],
  M000R: [85, 'IndexOptionsConflict'],
  M000U: [115, 'CommandNotSupported'],
  M001C: [11_000, 'DuplicateKey'],
  M003A: [10_334, 'BSONObjectTooLarge'],
};
const UNKNOWN: Known = [8, 'UnknownError'];
const SHUTDOWN: Known = [91, 'ShutdownInProgress'];

/** What a client is told of an error of the engine. */
export function toCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const state = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new CommandError(...describe(state, message), message);
}

/** Errors of single writes come with the SQLSTATE in place of the code, six bits a character. */
export function toWriteError<T extends { readonly code: number; readonly errmsg?: string }>(error: T): T {
  if (error.code < 1_000_000) return error;
  const characters = Array.from({ length: 5 }, (_, index) => ((error.code >> (6 * index)) & 63) + 48);
  const [code] = describe(String.fromCharCode(...characters), error.errmsg ?? '');
  return { ...error, code };
}

function describe(state: string, message: string): Known {
  // The engine is away, stopping or starting: a client is to look for another server.
  if (/^(08|57P|ECONN|EPIPE)/.test(state) || /terminated unexpectedly/.test(message)) return SHUTDOWN;
  const known = KNOWN[state];
  if (known) return known;
  process.stderr.write(`The gateway has no code for the SQLSTATE ${state}: ${message}\n`);
  return UNKNOWN;
}
