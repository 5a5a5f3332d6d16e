import { types } from 'node:util';

/**
 * Everything this package throws on its own account, except a `RangeError` for an impossible ttl and a
 * `TypeError` for a wrong argument. What a load throws is never wrapped.
 */
export class CachekitError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The app is set up wrongly; it can't start until somebody changes it. The message names the place. */
export class CachekitConfigError extends CachekitError {}

/** The npm package that a backend needs is not installed. The message has the command that installs it. */
export class MissingClientError extends CachekitConfigError {}

/** The backend can't be reached, or refuses to work. `cause` is what its client said, where it said anything. */
export class BackendUnavailableError extends CachekitError {}

/** The backend did not answer within its deadline. A write may still have taken effect. */
export class BackendTimeoutError extends BackendUnavailableError {}

/**
 * A `TieredBackend` made the change in its far tier, but could not tell the other processes of it: they may answer what
 * was there before until their near copies end, after `nearTtl` at the latest. They are told with the next change.
 */
export class NotAnnouncedError extends BackendUnavailableError {}

/** The entry is larger than the backend can hold. Nothing was stored, and what was there before is kept. */
export class EntryTooLargeError extends CachekitError {
  /** @param key the key as the caller knows it, or as the backend does, shortened */
  constructor(
    readonly key: string,
    readonly bytes: number,
    readonly limitBytes: number,
    place: string,
  ) {
    super(
      `${place}: the entry "${excerpt(key)}" takes ${bytes} bytes, more than the ${limitBytes} allowed. ` +
        'Cache a smaller part of it, or raise the limit where the backend has one.',
    );
  }
}

/** A load ran longer than its `loadTimeout`. Its callers get this; what it still answers is not stored. */
export class LoadTimeoutError extends CachekitError {
  constructor(
    readonly key: string,
    readonly timeoutMs: number,
  ) {
    super(
      `The load of "${excerpt(key)}" did not settle within ${timeoutMs} ms (option loadTimeout). ` +
        'Make it faster, give it a deadline of its own, or raise loadTimeout. (A load that asks for its own key waits ' +
        'for itself.)',
    );
  }
}

/** A lock was not free within the time that its caller was willing to wait. Its work was not run. */
export class LockNotAcquiredError extends CachekitError {
  constructor(
    readonly key: string,
    readonly waitMs: number,
  ) {
    super(
      `The lock "${excerpt(key)}" was held by others for ${waitMs} ms (option wait). Try again later, wait longer, or ` +
        'hold it for a shorter time.',
    );
  }
}

/** A value that can't be stored and read back: a function, a symbol, an own `__proto__` key. */
export class UnserializableValueError extends CachekitError {}

/** What lies in the store is not what this package wrote, or was damaged. Reads treat it as a miss. */
export class BrokenEntryError extends CachekitError {}

/** The outcome of an operation that must not be repeated is unknown, since the backend did not answer in time. */
export class UnknownOutcomeError extends CachekitError {}

/** A key for a message: shortened, so that it does not fill the log, and on one line, so that it forges none. */
export function excerpt(key: string): string {
  const short = key.length <= 120 ? key : `${key.slice(0, 100)}… (${key.length} characters)`;
  return short.replace(/\p{C}/gu, (character) => JSON.stringify(character).slice(1, -1));
}

/** What a thrown thing says. Also of another realm: under Jest, Node's own errors are not `instanceof Error`. */
export function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message : String(error);
}
