import { closedError } from './failure.js';
import { settledWithin } from './settled-within.js';

/** How long `open`, and an operation before it, waits for the first attempt. It goes on in the background. */
const OPEN_LIMIT_MS = 5_000;

/** A way to a server that looks after itself: after every loss it comes back, until it is stopped. */
export interface Link {
  /** Resolves when it is up; rejects when the attempt that runs now, or the next one, fails. */
  whenUp(): Promise<void>;
  /** What to reject with while it is not up. `reason` is for when nothing else is known. */
  awayError(reason?: string): Error;
  /** Lets go. Never rejects. */
  stop(): Promise<void>;
}

/** What a session is made of. */
export interface SessionParts<L extends Link> {
  readonly makeLink: () => L | Promise<L>;
  /** The class of the backend, for messages. */
  readonly backend: string;
  /** Is called whenever `open` is, also by an operation that comes first. Absent means nothing is to be done. */
  readonly onOpen?: () => void;
}

/**
 * Opens and closes a link, as a backend is opened and closed: as often as one likes, also by several at once. Of
 * `open` and `close`, the one that was called last counts.
 */
export class LinkSession<L extends Link> {
  readonly #parts: SessionParts<L>;
  #link: L | undefined;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  /** Whether the first attempt since `open` is over. */
  #wasTried = false;
  /** Counts the closings, so that an `open` under way sees that it was overtaken by one. */
  #closings = 0;

  constructor(parts: SessionParts<L>) {
    this.#parts = parts;
  }

  /** The link, up or not; `undefined` before `open` and after `close`. */
  get link(): L | undefined {
    return this.#link;
  }

  /** Resolves when the link is up; rejects when that failed for now. */
  open(): Promise<void> {
    this.#isClosed = false;
    this.#parts.onOpen?.();
    if (this.#opening) return this.#opening;
    const opening = this.#open().finally(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
    return opening;
  }

  /** Never rejects. */
  close(): Promise<void> {
    const stopped = this.#link?.stop();
    this.#isClosed = true;
    this.#closings += 1;
    this.#link = undefined;
    this.#opening = undefined;
    this.#wasTried = false;
    this.#closing = Promise.all([this.#closing, stopped]).then(() => undefined);
    return this.#closing;
  }

  /** The link, up or not, for an operation that found none that is up. Waits only for the first attempt. */
  async first(): Promise<L> {
    if (this.#isClosed) throw closedError(this.#parts.backend);
    if (!this.#wasTried) await this.open();
    if (!this.#link) throw closedError(this.#parts.backend);
    return this.#link;
  }

  async #open(): Promise<void> {
    const closings = this.#closings;
    const link = this.#link ?? (await this.#parts.makeLink());
    if (closings !== this.#closings) throw closedError(this.#parts.backend);
    this.#link = link;
    try {
      await upInTime(link);
    } catch (error) {
      throw closings === this.#closings ? error : closedError(this.#parts.backend);
    } finally {
      if (closings === this.#closings) this.#wasTried = true;
    }
  }
}

async function upInTime(link: Link): Promise<void> {
  const up = link.whenUp();
  if (!(await settledWithin(OPEN_LIMIT_MS, up))) throw link.awayError(`no answer within ${OPEN_LIMIT_MS} ms`);
  await up;
}
