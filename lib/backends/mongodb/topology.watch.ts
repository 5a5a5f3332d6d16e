import type { MongoClient, TopologyDescription, TopologyDescriptionChangedEvent } from 'mongodb';

/** The kinds of server that take writes. */
const WRITABLE: readonly string[] = ['Standalone', 'Mongos', 'RSPrimary', 'LoadBalancer'];

/** Is told what a client finds out about its servers. */
export interface TopologyListener {
  /** There is a server that takes writes. */
  onUp(): void;
  /** There is none any more. */
  onDown(): void;
  /** Every server was tried, and none can be reached. */
  onUnreachable(): void;
}

/** Knows whether a client has a server that takes writes: the driver would wait for one, by default for 30 seconds. */
export class TopologyWatch {
  readonly #client: MongoClient;
  readonly #listener: TopologyListener;
  #isUp: boolean;
  #problem: unknown;

  /** @param isUp what is taken for true until the client says something */
  constructor(client: MongoClient, listener: TopologyListener, isUp: boolean) {
    this.#client = client;
    this.#listener = listener;
    this.#isUp = isUp;
    client.on('topologyDescriptionChanged', this.#onChange);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** What the client said last of a server that it can't reach; undefined while there is one that takes writes. */
  get problem(): unknown {
    return this.#problem;
  }

  stop(): void {
    this.#client.off('topologyDescriptionChanged', this.#onChange);
  }

  readonly #onChange = ({ newDescription }: TopologyDescriptionChangedEvent): void => {
    const wasUp = this.#isUp;
    const servers = [...newDescription.servers.values()];
    this.#isUp = servers.some(({ type }) => WRITABLE.includes(type));
    this.#problem = this.#isUp ? undefined : (problemIn(newDescription) ?? this.#problem);
    if (this.#isUp && !wasUp) this.#listener.onUp();
    if (!this.#isUp && wasUp) this.#listener.onDown();
    if (servers.length > 0 && servers.every(({ error }) => error !== null && error !== undefined)) {
      this.#listener.onUnreachable();
    }
  };
}

function problemIn({ type, servers }: TopologyDescription): unknown {
  const failed = [...servers.values()].find(({ error }) => error !== null && error !== undefined);
  if (failed) return failed.error;
  return type === 'ReplicaSetNoPrimary' ? new Error('the replica set has no primary now') : undefined;
}
