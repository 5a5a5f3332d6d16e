import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { MakeStream } from './pg.js';
import { settledWithin } from '../settled-within.js';

/**
 * The open sockets of some connections. pg waits for the server to close them, without end when it is silent; this
 * way one can be rid of them.
 */
export class Sockets {
  readonly #open = new Set<Duplex>();

  /**
   * What pg takes as its option `stream`.
   *
   * @param given the app's own such option, as connectors of cloud providers set it; absent: plain sockets
   */
  maker(given?: unknown): MakeStream {
    return (config) => {
      const socket = isMaker(given) ? given(config) : new Socket();
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      return socket;
    };
  }

  /** Resolves when all are closed: by the server if it does so in time, else from here. */
  async closed(limitMs: number): Promise<void> {
    const closings = [...this.#open].map((socket) => once(socket, 'close'));
    if (await settledWithin(limitMs, Promise.all(closings))) return;
    this.destroy();
  }

  /** Closes all at once. What runs on them fails. */
  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

function isMaker(given: unknown): given is MakeStream {
  return typeof given === 'function';
}
