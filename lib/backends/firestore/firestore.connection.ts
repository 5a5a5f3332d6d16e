import { LinkSession } from '../link.session.js';
import { BorrowedClient } from './borrowed.client.js';
import { namespaceId } from './document-id.js';
import { FirestoreLink, type Command } from './firestore.link.js';
import type { FirestoreTarget } from './firestore.options.js';
import { OwnClients } from './own.client.js';
import type { Sweeper } from '../sweeper.js';

/**
 * Opens, closes, and runs commands while Firestore answers. Of `open` and `close`, the one that was called last
 * counts.
 */
export class FirestoreConnection {
  readonly #sweeper: Sweeper;
  readonly #session: LinkSession<FirestoreLink>;

  /** @param sweeper sweeps while the connection is open */
  constructor(target: FirestoreTarget, sweeper: Sweeper) {
    this.#sweeper = sweeper;
    this.#session = new LinkSession({
      makeLink: () => makeLink(target),
      backend: 'FirestoreBackend',
      onOpen: () => sweeper.start(),
    });
  }

  open(): Promise<void> {
    return this.#session.open();
  }

  close(): Promise<void> {
    this.#sweeper.stop();
    return this.#session.close();
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
    const { link } = this.#session;
    const up = link?.database ? link : await this.#session.first();
    return up.run(command, answerIn);
  }
}

function makeLink(target: FirestoreTarget): FirestoreLink {
  const clients = target.kind === 'client' ? new BorrowedClient(target.client) : new OwnClients(target);
  const { collection, namespace, place } = target;
  return new FirestoreLink(clients, place, (firestore) =>
    firestore.collection(collection).doc(namespaceId(namespace)).collection(collection),
  );
}
