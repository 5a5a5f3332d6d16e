import { BorrowedLink } from './borrowed.link.js';
import { createClient, loadIoredis } from './redis.client.js';
import { commandError, isTimeout } from './redis.failure.js';
import { OwnLink } from './own.link.js';
import type { RedisLink } from './redis.link.js';
import type { RedisClient, RedisTarget } from './redis.options.js';
import { LinkSession } from '../link.session.js';
import { SilenceWatch } from '../silence.watch.js';
import { writeTogether } from './write-together.js';

/** How long Redis may owe an answer and give none: far longer than a read waits, and hits come back within seconds. */
const SILENCE_MS = 1_500;

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
  readonly #session: LinkSession<RedisLink>;

  constructor(target: RedisTarget) {
    this.#target = target;
    this.#session = new LinkSession({ makeLink: () => makeLink(target), backend: 'RedisBackend' });
  }

  open(): Promise<void> {
    return this.#session.open();
  }

  close(): Promise<void> {
    this.#watch.stop();
    return this.#session.close();
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
    const client = this.#session.link?.client;
    if (client) return this.#send(client, command, take, answerIn);
    return this.#firstClient().then((first) => this.#send(first, command, take, answerIn));
  }

  /**
   * The client of the link, for what needs a connection of its own like it. Waits as an operation does.
   *
   * @throws BackendUnavailableError
   */
  async client(): Promise<RedisClient> {
    return this.#session.link?.client ?? this.#firstClient();
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
    const link = await this.#session.first();
    if (!link.client) throw link.awayError();
    return link.client;
  }

  #failure(client: RedisClient, error: unknown): Error {
    if (isTimeout(error) && client === this.#session.link?.client) this.#renew(error);
    const problem = this.#session.link?.client ? undefined : this.#session.link?.problem;
    return commandError(this.#target.place, error, problem);
  }

  #renew(silence: unknown): void {
    this.#session.link?.renew(silence);
  }
}

async function makeLink(target: RedisTarget): Promise<RedisLink> {
  if (target.kind === 'client') return new BorrowedLink(target.client, target.place);
  const ioredis = await loadIoredis();
  return new OwnLink(() => createClient(ioredis, target), target.place);
}
