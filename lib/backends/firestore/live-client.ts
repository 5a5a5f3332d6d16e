import type { Firestore } from '@google-cloud/firestore';

/** A client and what it takes to let go of it. */
export interface LiveClient {
  readonly firestore: Firestore;
  /** Does something with the client. All that uses it goes through this. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Ends what still uses it, and lets go of it. Never rejects. */
  end(reason: string): Promise<void>;
}

/** Where a link gets its clients from: one at a time, the next one after the last was ended. */
export interface ClientSource {
  /** How long the answer to whether the database is there may take, in milliseconds. */
  readonly answerLimitMs: number;
  /**
   * A client to use now.
   *
   * @throws MissingClientError when the package is not installed, else what is wrong with the credentials
   */
  make(): Promise<LiveClient>;
}
