import type * as ClientPackage from '@aws-sdk/client-dynamodb';
import type { DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { explainFailedImport } from '../client-package.js';
import { noRegionError } from './dynamodb.failure.js';
import type { DynamoDBSender, DynamoDBTarget, OwnClient } from './dynamodb.options.js';
import { Flights } from './flights.js';
import { SilentSockets } from './silent-sockets.js';

/** The client package. */
export type Sdk = typeof ClientPackage;

/** For the wait for a free socket too, which the SDK counts as connecting. */
const CONNECT_MS = 5_000;

/** More requests than that wait for a socket. At 5 ms a request, that many sockets make 20,000 a second. */
const MAX_SOCKETS = 100;

/** A way to DynamoDB, for the time between `open` and `close`. */
export interface DynamoDBLink {
  readonly sdk: Sdk;
  readonly client: DynamoDBSender;
  /** Names the table in messages. */
  readonly place: string;
  readonly flights: Flights;
  /** Whether failed requests are to be tried again here; a given client does that as the app has set it up. */
  readonly triesAgain: boolean;
  /** Closes sockets that wait for work: when one has died without a word, so may have the others. */
  dropIdle(): void;
  /** Closes its sockets, unless the client was given. */
  end(): void;
}

/**
 * The client package.
 *
 * @throws MissingClientError when it is not installed
 */
export async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-dynamodb');
  } catch (error) {
    throw explainFailedImport(error, '@aws-sdk/client-dynamodb', 'DynamoDBBackend');
  }
}

/**
 * Makes a link.
 *
 * @throws CachekitConfigError when no region is given and the SDK finds none
 */
export async function makeLink(sdk: Sdk, { source, table }: DynamoDBTarget): Promise<DynamoDBLink> {
  if (source.kind === 'own') return ownLink(sdk, source, table);
  const { client } = source;
  const region = await regionOf(client);
  return {
    sdk,
    client,
    place: `table "${table}" in ${region} (given client)`,
    flights: new Flights(undefined),
    triesAgain: false,
    dropIdle: () => undefined,
    end: () => undefined,
  };
}

async function ownLink(sdk: Sdk, own: OwnClient, table: string): Promise<DynamoDBLink> {
  const agents = [
    new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
    new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
  ] as const;
  const client = new sdk.DynamoDBClient(config(own, agents));
  const region = await regionOf(client);
  const at = own.endpoint === undefined ? '' : ` at ${own.endpoint}`;
  return {
    sdk,
    client,
    place: `table "${table}" in ${region}${at}`,
    flights: new Flights(new SilentSockets(agents)),
    triesAgain: true,
    dropIdle: () => agents.forEach(destroyIdle),
    end: () => client.destroy(),
  };
}

async function regionOf(client: DynamoDBSender): Promise<string> {
  try {
    return await client.config.region();
  } catch (error) {
    throw noRegionError(error);
  }
}

function config(
  own: OwnClient,
  [httpAgent, httpsAgent]: readonly [HttpAgent, HttpsAgent],
): DynamoDBClientConfig {
  return {
    ...(own.region !== undefined && { region: own.region }),
    ...(own.endpoint !== undefined && { endpoint: own.endpoint }),
    ...(own.credentials !== undefined && { credentials: own.credentials }),
    // The SDK would also repeat what was not answered in time, and so let a write land after a later one.
    maxAttempts: 1,
    requestHandler: {
      httpAgent,
      httpsAgent,
      connectionTimeout: CONNECT_MS,
      // See `SilentSockets`.
      socketTimeout: 0,
      logger: SILENT,
    },
  };
}

/** It would print a warning where requests wait for a socket. */
const nothing = (): void => undefined;
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

function destroyIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}
