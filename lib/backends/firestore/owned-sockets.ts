import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';

/** Whose the sockets are that are made now. */
const owner = new AsyncLocalStorage<OwnedSockets>();
let isListening = false;

/**
 * The sockets that a client makes and gives nobody. grpc-js closes a connection by waiting for the other side to
 * do so too, and waits without end for one whose other side accepts and never says a word: a silent server would
 * leave a socket for every attempt.
 */
export class OwnedSockets {
  readonly #sockets = new Set<Socket>();
  #isDestroyed = false;

  /** What `work` connects to belongs to these. */
  own<T>(work: () => Promise<T>): Promise<T> {
    listen();
    return owner.run(this, work);
  }

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Later, since it is not connecting yet, and connecting would revive it.
    if (this.#isDestroyed) setImmediate(() => socket.destroy());
  }

  /** Closes them all, those that are still to come too, without waiting for anybody. */
  destroy(): void {
    this.#isDestroyed = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Node tells of every socket of a client that it makes. */
function listen(): void {
  if (isListening) return;
  isListening = true;
  subscribe('net.client.socket', (made) => {
    const sockets = owner.getStore();
    if (sockets === undefined || typeof made !== 'object' || made === null || !('socket' in made)) return;
    if (made.socket instanceof Socket) sockets.add(made.socket);
  });
}
