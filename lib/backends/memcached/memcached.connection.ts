import type { Response, Server } from 'memjs';
import type { Socket } from 'node:net';
import { RunningWork } from '../running-work.js';
import { settledWithin } from '../settled-within.js';
import { SilenceWatch } from '../silence.watch.js';
import { makeServer, socketOf, type Memjs } from './memcached.client.js';
import { silenceError, unansweredError } from './memcached.failure.js';
import type { Address } from './memcached.options.js';
import { encode, isOk, OPCODE, type Request } from './memcached.protocol.js';

/** How long it may take until a server has accepted, let us in and told its settings. */
const CONNECT_MS = 2_000;
/** How long a server may owe an answer and give none at all. memcached answers within a millisecond. */
const SILENCE_MS = 1_500;
/** How long the end of a connection waits for operations under way. */
const FINISH_MS = 1_000;

/** What a server takes that does not say: memcached without `-I`. */
const USUAL_ITEM_BYTES = 1024 * 1024;

/**
 * One connection to one server, for one life. memjs connects, logs in and reads the answers; after a broken connection
 * it would take the rest of an old answer for the beginning of a new one, so it is thrown away with it.
 */
export class MemcachedConnection {
  /** Resolves with the reason once the connection is no more. */
  readonly ended: Promise<Error>;
  readonly place: string;
  readonly #memjs: Memjs;
  readonly #server: Server;
  readonly #socket: Socket;
  readonly #admitted: Promise<unknown>;
  /** How to reject what is not answered yet, by the number of the request. */
  readonly #unanswered = new Map<number, (error: Error) => void>();
  readonly #watch: SilenceWatch;
  #lastNumber = 0;
  #isCorked = false;
  #shared: Promise<Response> | undefined;
  readonly #running = new RunningWork();
  #maxItemBytes = USUAL_ITEM_BYTES;
  #problem: Error | undefined;
  #isOpen = false;
  #isOver = false;

  /** Begins to connect. */
  constructor(memjs: Memjs, address: Address) {
    this.place = address.place;
    this.#memjs = memjs;
    this.#server = makeServer(memjs, address);
    this.#watch = new SilenceWatch(() => this.#onSilence(), SILENCE_MS);
    // A login that fails is the one thing that only memjs knows. No request has the number 0.
    this.#server.onError(0, (error) => this.#blame(explainLogin(error, address)));
    this.#admitted = new Promise((resolve) => this.#server.sock(false, resolve));
    this.#socket = socketOf(this.#server);
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => this.#blame(error)).on('data', () => this.#watch.heard());
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve(this.#onClose())));
  }

  /** The largest item that the server takes, in bytes: its value, its key, and what memcached adds. */
  get maxItemBytes(): number {
    return this.#maxItemBytes;
  }

  /** Resolves when the server takes requests; rejects when it ended instead, after two seconds at the latest. */
  async open(): Promise<void> {
    const failed = this.ended.then((reason) => {
      throw reason;
    });
    const limit = setTimeout(
      () => this.end(new Error(`no answer in the binary protocol within ${CONNECT_MS} ms`)),
      CONNECT_MS,
    );
    try {
      await Promise.race([this.#admitted, failed]);
      const settings = await this.#readSettings();
      this.#maxItemBytes = Number(settings.get('item_size_max') ?? USUAL_ITEM_BYTES);
      this.#isOpen = true;
    } finally {
      clearTimeout(limit);
    }
  }

  /**
   * Sends a request. What is sent in one turn of the event loop goes out together, and the server takes it in this
   * order.
   *
   * @throws BackendUnavailableError when the connection ends before the answer came
   */
  ask(request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) return reject(unansweredError(this.place, this.#reason));
      const number = this.#await(reject, (answer) => {
        this.#settle(number);
        resolve(answer);
      });
      this.#send(encode(this.#memjs.Utils.makeRequestBuffer, request, number));
    });
  }

  /** Sends a request that is the same for everybody only once a turn, and answers it to all who ask. */
  askOnce(request: Request): Promise<Response> {
    this.#shared ??= this.ask(request);
    return this.#shared;
  }

  /** Does what takes one or more requests. `finish` waits for it. */
  run<T>(work: (connection: this) => Promise<T>): Promise<T> {
    return this.#running.run(() => work(this));
  }

  /** Ends it when all that runs is done, after a second at the latest. Never rejects. */
  async finish(): Promise<void> {
    await settledWithin(FINISH_MS, this.#running.idle());
    this.end(new Error('the connection was closed'));
    await this.ended;
  }

  /** Ends it at once. */
  end(reason: Error): void {
    this.#blame(reason);
    this.#socket.destroy();
  }

  get #reason(): Error {
    return this.#problem ?? new Error('the server has closed the connection');
  }

  #blame(reason: Error): void {
    this.#problem ??= reason;
  }

  #onSilence(): void {
    // Before that, how long it may take is for `open` to say.
    if (this.#isOpen) this.end(silenceError(this.place, SILENCE_MS));
  }

  #onClose(): Error {
    this.#isOver = true;
    this.#watch.stop();
    const error = unansweredError(this.place, this.#reason);
    for (const reject of this.#unanswered.values()) reject(error);
    this.#unanswered.clear();
    return this.#reason;
  }

  /** Awaits an answer, or several, until it is settled. Answers the number that the request has to have. */
  #await(reject: (error: Error) => void, onAnswer: (answer: Response) => void): number {
    // 32 bits, and memjs uses 0.
    this.#lastNumber = (this.#lastNumber % 0xffff_ffff) + 1;
    this.#unanswered.set(this.#lastNumber, reject);
    this.#server.onResponse(this.#lastNumber, onAnswer);
    this.#watch.asked();
    return this.#lastNumber;
  }

  #settle(number: number): void {
    this.#unanswered.delete(number);
    this.#watch.answered();
  }

  #send(bytes: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#shared = undefined;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  /** What `stats settings` tells; nothing where the server does not allow it. */
  #readSettings(): Promise<ReadonlyMap<string, string>> {
    return new Promise((resolve, reject) => {
      const settings = new Map<string, string>();
      const collect = (answer: Response): void => {
        if (isOk(answer) && answer.key.length > 0) {
          settings.set(answer.key.toString(), answer.val.toString());
          return;
        }
        this.#settle(number);
        resolve(settings);
      };
      // memjs goes on to hand out the answers of a request that is "quiet", up to the empty one.
      const number = this.#await(reject, Object.assign(collect, { quiet: true }));
      this.#send(
        encode(this.#memjs.Utils.makeRequestBuffer, { opcode: OPCODE.stat, name: 'settings' }, number),
      );
    });
  }
}

/** memjs says the same of every login that failed, and says it with a string. */
function explainLogin(error: unknown, { username }: Address): Error {
  if (typeof error !== 'string') return error instanceof Error ? error : new Error('memjs failed');
  if (username === undefined) return new Error('it asks for a user and a password (SASL), and none is given');
  return new Error('it refused the user or the password (SASL)');
}
