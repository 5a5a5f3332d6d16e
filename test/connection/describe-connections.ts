import type { RemoteBackend } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { describeAppClient } from './app-client.obligations.js';
import { APP_CLIENTS } from './app-clients.js';
import { describeClosing } from './closing.obligations.js';
import { ConnectionStage } from './connection-stage.js';
import { describeLosing } from './losing.obligations.js';
import { describeOpening } from './opening.obligations.js';
import { describeSharing } from './sharing.obligations.js';

/**
 * What every remote backend owes whoever opens and closes it, alone or beside others: on the server that all specs
 * share, and behind a `FaultProxy`. What an app sees of a server that is away is for `describeOutages` to say.
 *
 * A test in a spec of one's own then covers only what is particular to the server or its client.
 */
export function describeConnections(remote: RemoteBackend): void {
  describeOn(remote.need, `the connection of ${remote.name}`, () => {
    const stage = new ConnectionStage(remote);
    describeOpening(stage);
    describeLosing(stage);
    describeClosing(stage);
    describeSharing(stage);
    const client = APP_CLIENTS[remote.name];
    if (client) describeAppClient(stage, client);
  });
}
