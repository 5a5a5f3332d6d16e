import type { Firestore } from '@google-cloud/firestore';
import type { ClientSource, LiveClient } from './live-client.js';

/** The client of the app, which repeats calls and connects again as it likes, and which only the app may end. */
export class BorrowedClient implements ClientSource, LiveClient {
  readonly firestore: Firestore;
  /** It goes on asking by itself for minutes, so there is no use in asking it often. */
  readonly answerLimitMs = 30_000;

  constructor(firestore: Firestore) {
    this.firestore = firestore;
  }

  make(): Promise<LiveClient> {
    return Promise.resolve(this);
  }

  use<T>(work: () => Promise<T>): Promise<T> {
    // A read of such a client never settles, and rejects a promise that nobody holds, which ends the process.
    if (isTerminated(this.firestore)) return Promise.reject(new Error('the app has terminated it'));
    return work();
  }

  /** Nothing: it is not ours. */
  end(): Promise<void> {
    return Promise.resolve();
  }
}

/** Whether the app has called its `terminate()`. The client has no other way to tell. */
function isTerminated(firestore: Firestore): boolean {
  const pool: unknown = Reflect.get(firestore, '_clientPool');
  return typeof pool === 'object' && pool !== null && Reflect.get(pool, 'terminated') === true;
}
