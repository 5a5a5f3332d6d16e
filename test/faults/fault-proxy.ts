import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../servers/free-port.js';
import { FaultyConnection, type CommonFaults, type Cut } from './faulty-connection.js';

/** How long bytes are under way, in milliseconds. */
export interface Latency {
  /** From the client to the server. Absent means 0. */
  readonly upMs?: number;
  /** From the server to the client. Absent means 0. */
  readonly downMs?: number;
  /** At most so much more, at random, each way. Absent means 0. Bytes stay in order. */
  readonly jitterMs?: number;
}

/** What happens to bytes and to new connections. */
type Mode = 'pass' | 'stall' | 'blackhole' | 'refuse' | 'hang up';

/**
 * A TCP proxy on 127.0.0.1 in front of one server, which breaks the network between the two as a test asks it to. A
 * new one passes everything on.
 */
export class FaultProxy {
  private readonly connections = new Set<FaultyConnection>();
  private readonly modes = new EventEmitter().setMaxListeners(0);
  private mode: Mode = 'pass';
  private latency: Latency = {};
  private readonly faults: CommonFaults = {
    delayUpMs: () => this.lateMs(this.latency.upMs),
    delayDownMs: () => this.lateMs(this.latency.downMs),
    untilFlowing: (over) => this.untilFlowing(over),
    admitAnswer: (length) => this.admitAnswer(length),
  };
  private answerLimit: { bytesLeft: number; readonly cut: Cut } | undefined;
  private listener: Server | undefined;

  private constructor(
    private readonly serverPort: number,
    /** The port for clients to connect to, the same for the proxy's whole life. */
    readonly port: number,
  ) {}

  /** Starts a proxy in front of the server at `port` on 127.0.0.1, which need not be there yet. */
  static async to(port: number): Promise<FaultProxy> {
    for (let triesLeft = 4; ; triesLeft--) {
      const proxy = new FaultProxy(port, await freePort());
      try {
        await proxy.bringUp();
        return proxy;
      } catch (error) {
        // Between looking for a free port and taking it, somebody else may have taken it.
        if (triesLeft === 0) throw error;
      }
    }
  }

  /** How many connections of clients are open. */
  get openConnections(): number {
    return this.connections.size;
  }

  /** Ends `stall`, `blackhole`, `refuse` and `hangUp`: what was held back goes on, what was lost stays lost. */
  pass(): void {
    this.setMode('pass');
  }

  /** Holds back everything, both ways, on all connections, old and new, and loses nothing: see `pass`. */
  stall(): void {
    this.setMode('stall');
  }

  /** Loses everything, both ways, on all connections, old and new, and closes none. New ones are still accepted. */
  blackhole(): void {
    this.setMode('blackhole');
    for (const connection of this.connections) connection.lose();
  }

  /** Accepts each new connection and resets it at once. Old ones go on. For a port that is closed see `takeDown`. */
  refuse(): void {
    this.setMode('refuse');
  }

  /** Accepts each new connection and ends it at once, in order. Old ones go on. */
  hangUp(): void {
    this.setMode('hang up');
  }

  /** Makes what is said from now on late, on all connections. Absent parts are 0, so `{}` ends it. */
  delay(latency: Latency): void {
    this.latency = latency;
  }

  /** Cuts all connections now. What is under way is lost. */
  cut(how: Cut): void {
    for (const connection of this.connections) connection.cut(how);
  }

  /**
   * Lets so many more bytes of answers through, over all connections together, and then cuts the connection that
   * carries the last of them. Once: the others, and those that come after it, go on.
   *
   * @param bytes 0 cuts before the first byte of the next answer
   */
  cutAnswerAfter(bytes: number, how: Cut): void {
    this.answerLimit = { bytesLeft: bytes, cut: how };
  }

  /** Closes the port, so that connecting is refused, and resets all connections. A second time does nothing. */
  async takeDown(): Promise<void> {
    const { listener } = this;
    this.listener = undefined;
    const closed = listener && once(listener, 'close');
    listener?.close();
    this.cut('rst');
    await closed;
  }

  /** Opens the port again after `takeDown`. Mode and latency are as they were. */
  async bringUp(): Promise<void> {
    // Half open, since the end of one direction travels as its bytes do and must not end the other.
    const listener = createServer({ allowHalfOpen: true }, (client) => this.accept(client));
    listener.listen(this.port, '127.0.0.1');
    await once(listener, 'listening');
    this.listener = listener;
  }

  private setMode(mode: Mode): void {
    this.mode = mode;
    this.modes.emit('change');
  }

  private accept(client: Socket): void {
    const connection = new FaultyConnection(client, this.faults);
    this.connections.add(connection);
    client.once('close', () => this.connections.delete(connection));
    if (this.mode === 'refuse') return connection.cut('rst');
    if (this.mode === 'hang up') return connection.cut('fin');
    if (this.mode === 'blackhole') return connection.lose();
    connection.putThrough(this.serverPort);
  }

  private async untilFlowing(over: AbortSignal): Promise<void> {
    while (this.mode === 'stall') await once(this.modes, 'change', { signal: over });
  }

  private lateMs(ms = 0): number {
    return ms + Math.random() * (this.latency.jitterMs ?? 0);
  }

  private admitAnswer(length: number): ReturnType<CommonFaults['admitAnswer']> {
    const limit = this.answerLimit;
    if (!limit) return { bytes: length };

    const bytes = Math.min(length, limit.bytesLeft);
    limit.bytesLeft -= bytes;
    if (limit.bytesLeft > 0) return { bytes };
    this.answerLimit = undefined;
    return { bytes, thenCut: limit.cut };
  }
}
