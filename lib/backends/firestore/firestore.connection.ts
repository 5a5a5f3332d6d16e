import { BackendUnavailableError } from '../../core/errors.js';
import { BorrowedClient } from './borrowed.client.js';
import { namespaceId } from './document-id.js';
import { FirestoreLink, type Command } from './firestore.link.js';
import type { FirestoreTarget } from './firestore.options.js';
import { OwnClients } from './own.client.js';
import type { Sweeper } from './sweeper.js';

/** How long `open`, and an operation before it, waits for the first attempt. It goes on in the background. */
const OPEN_LIMIT_MS = 5_000;

/**
 * Opens, closes, and runs commands while Firestore answers. Of `open` and `close`, the one that was called last
 * counts.
 */
export class FirestoreConnection {
  readonly #target: FirestoreTarget;
  readonly #sweeper: Sweeper;
  #link: FirestoreLink | undefined;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  /** Whether the first attempt since `open` is over. */
  #wasTried = false;

  /** @param sweeper sweeps while the connection is open */
  constructor(target: FirestoreTarget, sweeper: Sweeper) {
    this.#target = target;
    this.#sweeper = sweeper;
  }

  open(): Promise<void> {
    this.#isClosed = false;
    this.#sweeper.start();
    if (this.#opening) return this.#opening;
    this.#link ??= makeLink(this.#target);
    const opening = this.#open(this.#link).finally(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
    return opening;
  }

  close(): Promise<void> {
    const stopped = this.#link?.stop();
    this.#sweeper.stop();
    this.#isClosed = true;
    this.#link = undefined;
    this.#opening = undefined;
    this.#wasTried = false;
    this.#closing = Promise.all([this.#closing, stopped]).then(() => undefined);
    return this.#closing;
  }

  /**
   * Runs a command while Firestore answers, and rejects at once while it does not.
   *
   * @param answerIn finds the answer in an error that is none, undefined if there is no answer in it
   * @throws BackendUnavailableError
   */
  async run<Answer>(
    command: Command<Answer>,
    answerIn?: (error: unknown) => { readonly answer: Answer } | undefined,
  ): Promise<Answer> {
    const link = this.#link?.database ? this.#link : await this.#firstLink();
    return link.run(command, answerIn);
  }

  /** The link for a command that found none that is up. Waits only for the first attempt. */
  async #firstLink(): Promise<FirestoreLink> {
    if (this.#isClosed) throw closedError();
    if (!this.#wasTried) await this.open();
    if (!this.#link) throw closedError();
    return this.#link;
  }

  async #open(link: FirestoreLink): Promise<void> {
    try {
      await upInTime(link);
    } catch (error) {
      throw link === this.#link ? error : closedError();
    } finally {
      if (link === this.#link) this.#wasTried = true;
    }
    if (link !== this.#link) throw closedError();
  }
}

function makeLink(target: FirestoreTarget): FirestoreLink {
  const clients = target.kind === 'client' ? new BorrowedClient(target.client) : new OwnClients(target);
  const { collection, namespace, place } = target;
  return new FirestoreLink(clients, place, (firestore) =>
    firestore.collection(collection).doc(namespaceId(namespace)).collection(collection),
  );
}

async function upInTime(link: FirestoreLink): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((_, reject) => {
    timer = setTimeout(() => {
      reject(link.awayError(`no answer within ${OPEN_LIMIT_MS} ms`));
    }, OPEN_LIMIT_MS);
  });
  try {
    await Promise.race([link.whenUp(), limit]);
  } finally {
    clearTimeout(timer);
  }
}

function closedError(): BackendUnavailableError {
  return new BackendUnavailableError(
    'FirestoreBackend: it is closed. Call open() before the next operation.',
  );
}
