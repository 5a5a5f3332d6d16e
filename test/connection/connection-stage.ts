import { randomUUID } from 'node:crypto';
import type { CacheBackend } from 'nestjs-cachekit';
import { inject, onTestFinished } from 'vitest';
import type { FaultProxy } from '../faults/fault-proxy.js';
import { portOf, type RemoteBackend, throughPort } from '../remote-backends.js';
import type { AppClient, AppClientKind } from './app-clients.js';
import { whileTimePasses } from './fake-seconds.js';
import { proxyTo } from './proxy-to.js';

/** A network to the server, and how backends find it. */
export interface Network {
  readonly proxy: FaultProxy;
  /** The address of the server, through the proxy. */
  readonly address: string;
}

/** Where the obligations play: the server that all specs share, and for each test networks and backends of its own. */
export class ConnectionStage {
  constructor(private readonly remote: RemoteBackend) {}

  /** The address of the server, without anything in between. */
  get address(): string {
    return inject(this.remote.provided);
  }

  /** An address at which nobody listens. */
  get nowhere(): string {
    return throughPort(this.address, 1);
  }

  /** How many connections a backend opens at most for so many operations at once. */
  mostConnections(operations: number): number {
    return this.remote.mostConnections(operations);
  }

  /** A network that can be broken. */
  async network(): Promise<Network> {
    const proxy = await proxyTo(portOf(this.address));
    return { proxy, address: throughPort(this.address, proxy.port) };
  }

  anyNamespace(): string {
    return `t-${randomUUID()}`;
  }

  /** A backend that nobody has opened, closed when the test ends. Absent: in a namespace of its own, on the server. */
  backend({ address = this.address, namespace = this.anyNamespace() } = {}): CacheBackend {
    const backend = this.remote.make(address, namespace);
    onTestFinished(() => backend.close());
    return backend;
  }

  /** A client of an app, ended when the test ends. */
  async appClient(kind: AppClientKind, address = this.address): Promise<AppClient> {
    const client = await kind.make(address);
    onTestFinished(async () => void (await whileTimePasses(Promise.resolve(client.end()))));
    return client;
  }

  /** A backend on such a client, which nobody has opened, closed when the test ends. */
  backendOn(client: AppClient, namespace = this.anyNamespace()): CacheBackend {
    const backend = client.makeBackend(namespace);
    onTestFinished(() => backend.close());
    return backend;
  }

  /** A network over which one backend is open, to compare others with: some clients open more than one connection. */
  async networkOfOne(): Promise<FaultProxy> {
    const { proxy, address } = await this.network();
    await this.backend({ address }).open();
    return proxy;
  }
}
