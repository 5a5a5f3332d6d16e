import { setImmediate } from 'node:timers/promises';
import {
  type BusListener,
  CacheBackend,
  InMemoryBackend,
  type MessageBus,
  type Stored,
  TieredBackend,
  type TieredBackendOptions,
} from 'nestjs-cachekit';

/** Lets everything happen that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await setImmediate();
}

/** The network between the processes: it can be cut, and hold back answers and messages until the test lets them go. */
export class Network {
  readonly messages: string[] = [];
  private readonly listeners = new Set<BusListener>();
  private held: (() => void)[] | undefined;
  private heldMessages: (() => void)[] | undefined;
  private receipts: (() => void)[] | undefined;
  private isCut = false;

  /** How many buses listen. */
  get listening(): number {
    return this.listeners.size;
  }

  /** From now on what was done is answered only at `release`. */
  holdAnswers(): void {
    this.held ??= [];
  }

  /** From now on who sends a message learns only at `release` that it was taken. Who listens hears of it at once. */
  holdReceipts(): void {
    this.receipts ??= [];
  }

  /** From now on messages are sent, but not heard until `release`. */
  holdMessages(): void {
    this.heldMessages ??= [];
  }

  async release(): Promise<void> {
    const { heldMessages = [], receipts = [], held = [] } = this;
    this.heldMessages = this.receipts = this.held = undefined;
    for (const go of [...heldMessages, ...receipts, ...held]) go();
    await settle();
  }

  /** The processes lose the bus, and sending fails. */
  cutBus(): void {
    this.isCut = true;
    for (const { onDown } of this.listeners) onDown();
  }

  mendBus(): void {
    this.isCut = false;
    for (const { onUp } of this.listeners) onUp();
  }

  async answer<T>(work: () => T): Promise<T> {
    const result = work();
    await new Promise<void>((resolve) => {
      if (this.held) this.held.push(resolve);
      else resolve();
    });
    return result;
  }

  bus(): MessageBus {
    let own: BusListener | undefined;
    return {
      listen: async (listener) => {
        if (own) throw new Error('a bus listens once');
        own = listener;
        this.listeners.add(listener);
        if (!this.isCut) listener.onUp();
      },
      send: (text) => this.send(text),
      close: async () => void (own && this.listeners.delete(own)),
    };
  }

  /** Tells all listeners, whoever they are. */
  async send(text: string): Promise<void> {
    if (this.isCut) throw new Error('the bus is cut');
    this.messages.push(text);
    const tell = (): void => this.listeners.forEach(({ onMessage }) => onMessage(text));
    if (this.heldMessages) this.heldMessages.push(tell);
    else tell();
    await new Promise<void>((resolve) => {
      if (this.receipts) this.receipts.push(resolve);
      else resolve();
    });
  }
}

/** A real store at the other end of the network. Counts what it was asked. */
export class FarBackend extends CacheBackend {
  readonly asked: string[] = [];
  /** Whether it rejects what it is asked, as it does while it is away. */
  isAway = false;

  constructor(
    readonly store: InMemoryBackend,
    readonly network: Network,
  ) {
    super();
  }

  override get(key: string): Promise<Stored | undefined> {
    return this.run(`get ${key}`, () => this.store.get(key));
  }

  override getMany(keys: readonly string[]): Promise<(Stored | undefined)[]> {
    return this.run(`getMany ${keys.join(' ')}`, () => this.store.getMany(keys));
  }

  override set(key: string, bytes: Uint8Array, ttlMs: number): Promise<Stored> {
    return this.run(`set ${key}`, () => this.store.set(key, bytes, ttlMs));
  }

  override replace(
    key: string,
    seen: string | undefined,
    bytes: Uint8Array,
    ttlMs: number,
  ): Promise<Stored | undefined> {
    return this.run(`replace ${key}`, () => this.store.replace(key, seen, bytes, ttlMs));
  }

  override delete(keys: readonly string[]): Promise<void> {
    return this.run(`delete ${keys.join(' ')}`, () => this.store.delete(keys));
  }

  override clear(): Promise<void> {
    return this.run('clear', () => this.store.clear());
  }

  override async open(): Promise<void> {}
  override async close(): Promise<void> {}

  override bus(): MessageBus | undefined {
    return this.network.bus();
  }

  private async run<T>(question: string, work: () => T): Promise<T> {
    this.asked.push(question);
    if (this.isAway) throw new Error('the far tier is away');
    return this.network.answer(work);
  }
}

/** One process of an app: its tiers, and how often it asked the far one. */
export interface Process {
  readonly backend: TieredBackend;
  readonly far: FarBackend;
}

/** Processes that share a store over a network. */
export async function processes(
  count: number,
  options: Partial<TieredBackendOptions> = {},
): Promise<{ network: Network; all: Process[] }> {
  const [store, network] = [new InMemoryBackend(), new Network()];
  const all = Array.from({ length: count }, () => {
    const far = new FarBackend(store, network);
    return { far, backend: new TieredBackend({ near: new InMemoryBackend(), far, ...options }) };
  });
  await Promise.all(all.map(({ backend }) => backend.open()));
  return { network, all };
}
