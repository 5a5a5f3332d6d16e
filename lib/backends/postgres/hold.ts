import type { PgDriver } from './pg.js';
import type { Held } from './postgres.source.js';

/** Takes a connection out of the pool of a data source, the one of the server that is written to. */
export async function hold(driver: PgDriver): Promise<Held> {
  const [client, giveBack] = await driver.obtainMasterConnection();
  // While it is out of the pool nobody else listens, and the process would end with it.
  const onError = (): void => undefined;
  client.on('error', onError);
  const release = (problem?: Error): void => {
    // One that is thrown away may still say why it ends, and the pool does not listen to it any more.
    if (problem === undefined) client.off('error', onError);
    giveBack(problem);
  };
  return { client, release };
}
