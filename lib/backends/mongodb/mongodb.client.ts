import type { MongoClient, MongoClientOptions } from 'mongodb';
import { explainFailedImport } from '../client-package.js';
import { optionsError } from './mongodb.failure.js';

/** What is used of the client package. */
interface MongodbPackage {
  readonly MongoClient: typeof MongoClient;
}

/**
 * What a client of the backend's own does where neither the url nor the options say otherwise. Nothing waits for half a
 * minute, as it does by default. A server that falls silent is noticed after three seconds, one that is back within one.
 * A command is sent once, and cut off when it gets no answer, so that none takes effect long after it was given up: it
 * may be older by then than what somebody else wrote.
 */
const DEFAULTS = {
  appName: 'nestjs-cachekit',
  connectTimeoutMS: 2_000,
  heartbeatFrequencyMS: 1_000,
  retryReads: false,
  retryWrites: false,
  serverSelectionTimeoutMS: 5_000,
  socketTimeoutMS: 5_000,
  waitQueueTimeoutMS: 5_000,
} as const satisfies MongoClientOptions;

/**
 * The client package.
 *
 * @throws MissingClientError when it is not installed
 */
export async function loadMongodb(): Promise<MongodbPackage> {
  try {
    return await import('mongodb');
  } catch (error) {
    throw explainFailedImport(error, 'mongodb', 'MongoDBBackend');
  }
}

/**
 * A client that is not connected yet.
 *
 * @throws CachekitConfigError when the package refuses the url or the options
 */
export function createClient(
  { MongoClient }: MongodbPackage,
  url: string,
  options: MongoClientOptions,
): MongoClient {
  try {
    return new MongoClient(url, { ...withoutNamesIn(url), ...options });
  } catch (error) {
    throw optionsError(error);
  }
}

/** The driver lets options win over the url; a default must not. */
function withoutNamesIn(url: string): MongoClientOptions {
  const query = new URLSearchParams(url.split('?')[1]);
  const given = [...query.keys()].map((name) => name.toLowerCase());
  return Object.fromEntries(Object.entries(DEFAULTS).filter(([name]) => !given.includes(name.toLowerCase())));
}
