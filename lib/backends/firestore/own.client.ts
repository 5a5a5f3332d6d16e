import type * as Package from '@google-cloud/firestore';
import type { Firestore, Settings } from '@google-cloud/firestore';
import { explainFailedImport } from '../client-package.js';
import { RunningWork } from '../running-work.js';
import { settledWithin } from '../settled-within.js';
import type { FirestoreTarget } from './firestore.options.js';
import type { ClientSource, LiveClient } from './live-client.js';
import { OwnedSockets } from './owned-sockets.js';
import { RunningCalls } from './running-calls.js';

/**
 * Each client has connections of its own (grpc-js shares them, and how long they wait after a failure, between
 * all clients of an address), and tries a lost one again within a second. Reads that fail say so at once, and not
 * after three more tries in seven seconds, which is what google-gax does by default.
 */
const CHANNEL = {
  gaxServerStreamingRetries: true,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

/** On an emulator nobody looks for credentials: off Google's machines that costs seconds, and a warning. */
const WITHOUT_CREDENTIALS = { clientOptions: { universeDomain: 'googleapis.com' } };

/** How long the goodbye waits for what still uses the client. All its calls are ended then. */
const END_MS = 1_000;

type OwnTarget = Extract<FirestoreTarget, { kind: 'database' }>;

/** Makes clients of our own. */
export class OwnClients implements ClientSource {
  readonly answerLimitMs = 5_000;
  readonly #target: OwnTarget;
  /** With credentials and project. */
  #settings: Promise<Settings> | undefined;

  constructor(target: OwnTarget) {
    this.#target = target;
  }

  async make(): Promise<LiveClient> {
    const firestore = await loadFirestore();
    const settings = await this.#findSettings(firestore);
    const calls = new RunningCalls();
    const hook = { 'grpc.callInvocationTransformer': calls.transform };
    return new OwnClient(new firestore.Firestore({ ...settings, ...CHANNEL, ...hook }), calls);
  }

  #findSettings(firestore: typeof Package): Promise<Settings> {
    // One search at a time: it may outlast the attempt that began it.
    this.#settings ??= findSettings(firestore, this.#target).catch((error: unknown) => {
      this.#settings = undefined;
      throw error;
    });
    return this.#settings;
  }
}

class OwnClient implements LiveClient {
  readonly firestore: Firestore;
  readonly #calls: RunningCalls;
  readonly #sockets = new OwnedSockets();
  readonly #uses = new RunningWork();

  constructor(firestore: Firestore, calls: RunningCalls) {
    this.firestore = firestore;
    this.#calls = calls;
  }

  use<T>(work: () => Promise<T>): Promise<T> {
    return this.#uses.run(() => this.#sockets.own(work));
  }

  async end(reason: string): Promise<void> {
    this.#calls.end(reason);
    await settledWithin(END_MS, this.#uses.idle());
    // A client that is used after that rejects where nobody can catch it (8.7.1), and so ends the process.
    if (this.#uses.isIdle) await this.firestore.terminate();
    this.#sockets.destroy();
  }
}

async function loadFirestore(): Promise<typeof Package> {
  try {
    return await import('@google-cloud/firestore');
  } catch (error) {
    throw explainFailedImport(error, '@google-cloud/firestore', 'FirestoreBackend');
  }
}

/**
 * The settings with credentials and project in them, so that no call fails for want of them: then a rejection
 * comes out of the client that nobody can catch (8.7.1), and ends the process.
 */
async function findSettings({ v1 }: typeof Package, target: OwnTarget): Promise<Settings> {
  if (target.isEmulator) return { ...target.settings, ...WITHOUT_CREDENTIALS };
  const client = new v1.FirestoreClient(target.settings);
  await client.initialize();
  const projectId = target.settings.projectId ?? (await client.getProjectId());
  await client.close();
  return { ...target.settings, projectId, auth: client.auth };
}
