import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { DelayLine } from './delay-line.js';

/** How a client learns that its connection is over: `rst` is ECONNRESET, `fin` an orderly end. */
export type Cut = 'rst' | 'fin';

/** The faults that all connections of a proxy have in common, asked for as the bytes pass. */
export interface CommonFaults {
  /** How long what the client says now is to be under way, in milliseconds. */
  delayUpMs(): number;
  /** How long what the server says now is to be under way, in milliseconds. */
  delayDownMs(): number;
  /** Resolves when bytes may arrive: at once, unless they are held back. Rejects when `over` aborts. */
  untilFlowing(over: AbortSignal): Promise<void>;
  /** How much of the next part of an answer gets through, and how the connection is cut then, if it is. */
  admitAnswer(length: number): { readonly bytes: number; readonly thenCut?: Cut };
}

/** One client's connection through the proxy, with the one to the server that belongs to it. */
export class FaultyConnection {
  private readonly over = new AbortController();
  private server: Socket | undefined;
  private isLost = false;

  /** @param client was just accepted; half open, so that each direction ends on its own, when its last byte is through */
  constructor(
    private readonly client: Socket,
    private readonly faults: CommonFaults,
  ) {
    // An error is followed by "close", and that is where the end is dealt with.
    client.on('error', () => undefined);
    client.once('close', () => {
      this.over.abort();
      this.server?.destroy();
    });
  }

  /** Puts the client through to the server at `port` on 127.0.0.1. Where nobody answers, the client is cut off. */
  putThrough(port: number): void {
    const { client, faults } = this;
    const { signal } = this.over;
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.server = server;
    server.on('error', () => {
      if (!this.isLost) this.cut('rst');
    });
    const common = { untilFlowing: () => faults.untilFlowing(signal), over: signal };
    const ask = (chunk: Buffer | undefined) => this.ask(server, chunk);
    const answer = (chunk: Buffer | undefined) => this.answer(chunk);
    new DelayLine(client, { ...common, delayMs: () => faults.delayUpMs(), deliver: ask });
    new DelayLine(server, { ...common, delayMs: () => faults.delayDownMs(), deliver: answer });
  }

  /** Makes all that is said on it from now on vanish, for good, and leaves it open. */
  lose(): void {
    this.isLost = true;
    this.client.resume();
  }

  /** Ends it now. What is under way is lost. */
  cut(how: Cut): void {
    this.over.abort();
    this.server?.destroy();
    if (how === 'rst') this.client.resetAndDestroy();
    else this.client.resume().end();
  }

  private async ask(server: Socket, chunk: Buffer | undefined): Promise<void> {
    if (this.isLost) return;
    if (chunk) await write(server, chunk);
    else server.end();
  }

  private async answer(chunk: Buffer | undefined): Promise<void> {
    if (this.isLost) return;
    if (!chunk) return void this.client.end();
    const { bytes, thenCut } = this.faults.admitAnswer(chunk.length);
    if (bytes > 0) await write(this.client, chunk.subarray(0, bytes));
    if (!thenCut) return;
    // A client that finds bytes and a reset in one poll is told of an orderly end (libuv does so). One in this
    // process has polled once the second immediate runs.
    await setImmediate();
    await setImmediate();
    this.cut(thenCut);
  }
}

/** Resolves when the system has taken the bytes, so that a reset that follows does not overtake them. */
function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}
