import type { Firestore } from '@google-cloud/firestore';

/**
 * Answers what terminates a client once the reads have settled that it was given from now on. One that the client is
 * trying again when it is terminated raises an unhandled rejection within @google-cloud/firestore.
 */
export function endAfterReads(client: Firestore): () => Promise<void> {
  const running = new Set<Promise<unknown>>();
  const getAll = client.getAll.bind(client);
  client.getAll = (...documents) => {
    const read = getAll(...documents);
    const ended = (): unknown => running.delete(read);
    running.add(read);
    read.then(ended, ended);
    return read;
  };
  return async () => {
    await Promise.allSettled(running);
    await client.terminate();
  };
}
