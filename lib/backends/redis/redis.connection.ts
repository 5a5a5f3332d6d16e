import { BackendUnavailableError } from '../../core/errors.js';
import { BorrowedLink } from './borrowed.link.js';
import { createClient, loadIoredis } from './redis.client.js';
import { commandError, isTimeout } from './redis.failure.js';
import { OwnLink } from './own.link.js';
import type { RedisLink } from './redis.link.js';
import type { RedisClient, RedisTarget } from './redis.options.js';
import { SilenceWatch } from '../silence.watch.js';
import { writeTogether } from './write-together.js';

/** How long Redis may owe an answer and give none: far longer than a read waits, and hits come back within seconds. */
const SILENCE_MS = 2_000;

/** How long `open`, and an operation before it, waits for the first attempt. It goes on in the background. */
const OPEN_LIMIT_MS = 5_000;

/** What to do with the client. What takes many commands calls `onProgress` after each answer. */
type Command<Answer> = (client: RedisClient, onProgress: () => void) => Promise<Answer>;

/**
 * Opens, closes, and sends commands where a link to Redis is up. Of `open` and `close`, the one that was
 * called last counts.
 */
export class RedisConnection {
  readonly #target: RedisTarget;
  readonly #watch = new SilenceWatch(
    () => this.#renew(new Error(`no answer for ${SILENCE_MS} ms`)),
    SILENCE_MS,
  );
  readonly #onProgress = () => this.#watch.heard();
  #link: RedisLink | undefined;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  /** Whether the first attempt since `open` is over. */
  #wasTried = false;
  /** Counts the closings, so that an `open` under way sees that it was overtaken by one. */
  #session = 0;

  constructor(target: RedisTarget) {
    this.#target = target;
  }

  open(): Promise<void> {
    this.#isClosed = false;
    if (this.#opening) return this.#opening;
    const opening = this.#open().finally(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
    return opening;
  }

  close(): Promise<void> {
    const stopped = this.#link?.stop();
    this.#watch.stop();
    this.#isClosed = true;
    this.#session += 1;
    this.#link = undefined;
    this.#opening = undefined;
    this.#wasTried = false;
    this.#closing = Promise.all([this.#closing, stopped]).then(() => undefined);
    return this.#closing;
  }

  /**
   * Sends a command, and makes of its answer what `take` makes of it. (Promises and not async functions: this
   * is the way of every hit, and a turn more costs a twentieth of the speed.)
   *
   * @param answerIn finds the answer in an error that is none, undefined if there is no answer in it
   * @throws BackendUnavailableError
   */
  run<Answer, Result>(
    command: Command<Answer>,
    take: (answer: Answer) => Result,
    answerIn?: (error: unknown) => Answer | undefined,
  ): Promise<Result> {
    const client = this.#link?.client;
    if (client) return this.#send(client, command, take, answerIn);
    return this.#firstClient().then((first) => this.#send(first, command, take, answerIn));
  }

  /**
   * The client of the link, for what needs a connection of its own like it. Waits as an operation does.
   *
   * @throws BackendUnavailableError
   */
  async client(): Promise<RedisClient> {
    return this.#link?.client ?? this.#firstClient();
  }

  /** The server, for messages, without user and password. */
  get place(): string {
    return this.#target.place;
  }

  #send<Answer, Result>(
    client: RedisClient,
    command: Command<Answer>,
    take: (answer: Answer) => Result,
    answerIn: ((error: unknown) => Answer | undefined) | undefined,
  ): Promise<Result> {
    writeTogether(client);
    const answer = command(client, this.#onProgress);
    this.#watch.asked();
    return answer.then(
      (value) => {
        this.#watch.answered();
        return take(value);
      },
      (error: unknown) => {
        this.#watch.answered();
        const found = answerIn?.(error);
        if (found !== undefined) return take(found);
        throw this.#failure(client, error);
      },
    );
  }

  /** The client for a command that found none. Waits only for the first attempt. */
  async #firstClient(): Promise<RedisClient> {
    if (this.#isClosed) throw closedError();
    if (!this.#wasTried) await this.open();
    const link = this.#link;
    if (!link) throw closedError();
    if (!link.client) throw link.awayError();
    return link.client;
  }

  #failure(client: RedisClient, error: unknown): Error {
    if (isTimeout(error) && client === this.#link?.client) this.#renew(error);
    const problem = this.#link?.client ? undefined : this.#link?.problem;
    return commandError(this.#target.place, error, problem);
  }

  #renew(silence: unknown): void {
    this.#link?.renew(silence);
  }

  async #open(): Promise<void> {
    const session = this.#session;
    const link = this.#link ?? (await makeLink(this.#target));
    if (session !== this.#session) throw closedError();
    this.#link = link;
    try {
      await this.#up(link);
    } catch (error) {
      throw session === this.#session ? error : closedError();
    } finally {
      if (session === this.#session) this.#wasTried = true;
    }
  }

  async #up(link: RedisLink): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((_, reject) => {
      timer = setTimeout(() => {
        reject(link.awayError(`no answer within ${OPEN_LIMIT_MS} ms`));
      }, OPEN_LIMIT_MS);
    });
    try {
      await Promise.race([link.whenUp(), limit]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function makeLink(target: RedisTarget): Promise<RedisLink> {
  if (target.kind === 'client') return new BorrowedLink(target.client, target.place);
  const ioredis = await loadIoredis();
  return new OwnLink(() => createClient(ioredis, target), target.place);
}

function closedError(): BackendUnavailableError {
  return new BackendUnavailableError('RedisBackend: it is closed. Call open() before the next operation.');
}
