import type { Agent } from 'node:http';
import type { Socket } from 'node:net';

/** How often is looked, and after how many looks at the same a socket is silent: after 1.5 s, and before 2. */
const LOOK_MS = 500;
const MOST_LOOKS = 3;

/** What was seen of a socket. */
interface Seen {
  readonly bytes: number;
  readonly looks: number;
}

/**
 * Closes sockets on which a request is under way, and no byte either way. It counts looks, not time: a process
 * that stood still looks once, too late, and has read what came meanwhile before it looks again. (The timeout of the
 * SDK is a timer of Node, which would be judged before that is read.) Nor is a request late that waits for a socket.
 */
export class SilentSockets {
  readonly #agents: readonly Agent[];
  #seen = new Map<Socket, Seen>();
  #next: NodeJS.Timeout | undefined;

  constructor(agents: readonly Agent[]) {
    this.#agents = agents;
  }

  /** Looks again and again, until it is told to stop. */
  start(): void {
    this.#next = setTimeout(() => this.#look(), LOOK_MS);
    this.#next.unref();
  }

  /** When no request is under way any more. */
  stop(): void {
    clearTimeout(this.#next);
    this.#seen.clear();
  }

  #look(): void {
    const seen = new Map<Socket, Seen>();
    for (const socket of this.#agents.flatMap(busySockets)) {
      const before = this.#seen.get(socket);
      const bytes = bytesThrough(socket);
      const looks = before?.bytes === bytes ? before.looks + 1 : 0;
      if (looks >= MOST_LOOKS) socket.destroy(silence());
      else seen.set(socket, { bytes, looks });
    }
    this.#seen = seen;
    this.start();
  }
}

/** A long request on a slow network is no silence either. */
function bytesThrough({ bytesRead, bytesWritten, writableLength }: Socket): number {
  return bytesRead + bytesWritten - writableLength;
}

/** Those that connect have a limit of their own. */
function busySockets({ sockets }: Agent): Socket[] {
  return Object.values(sockets).flatMap((some) => (some ?? []).filter(({ connecting }) => !connecting));
}

/** Named as the SDK names it. */
function silence(): Error {
  return Object.assign(new Error(`no byte came for ${(LOOK_MS * MOST_LOOKS) / 1_000} s`), {
    name: 'TimeoutError',
  });
}
