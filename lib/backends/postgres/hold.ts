import type { PgDriver } from './pg.js';
import type { Held } from './postgres.source.js';

/** Takes a connection out of the pool of a data source, the one of the server that is written to. */
export function hold({ master: pool }: PgDriver): Promise<Held> {
  return new Promise((resolve, reject) => {
    if (!pool) return reject(new Error('its data source is not initialized, or was destroyed'));
    // Not through typeorm, which answers a promise: one packet may say that a connection is ready, and that it ends,
    // and who listens a moment later listens too late.
    pool.connect((error, client, giveBack) => {
      if (!client) return reject(error ?? new Error('the pool gave no connection'));
      // While it is out of the pool nobody else listens, and the process would end with it.
      const onError = (): void => undefined;
      client.on('error', onError);
      const release = (problem?: Error): void => {
        // One that is thrown away may still say why it ends, and the pool does not listen to it any more.
        if (problem === undefined) client.off('error', onError);
        giveBack(problem);
      };
      resolve({ client, release });
    });
  });
}
