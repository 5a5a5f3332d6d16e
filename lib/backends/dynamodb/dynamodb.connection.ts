import { setTimeout as delay } from 'node:timers/promises';
import { isConnectionLost, isPassing, isSilence, isTableMissing } from './aws-error.js';
import { backOffMs } from './back-off.js';
import { loadSdk, makeLink, type DynamoDBLink } from './dynamodb.client.js';
import { closedError } from '../failure.js';
import { explain } from './dynamodb.failure.js';
import type { DynamoDBTarget } from './dynamodb.options.js';
import { createTable } from './dynamodb.table.js';

/** How often a request is sent at most. */
const MAX_TRIES = 3;

/** How long `close` waits for requests under way. */
const LANDING_MS = 1_000;

/** A request through a link. It may be sent again, so nothing in it may depend on being the first. */
export type Request<Answer> = (link: DynamoDBLink, options: { abortSignal: AbortSignal }) => Promise<Answer>;

/** Sends a request and answers its answer, or rejects with a CachekitError. */
export type Send = <Answer>(request: Request<Answer>) => Promise<Answer>;

/**
 * Opens, closes, and sends requests. Each is an HTTP request of its own, so there is nothing to connect again: the
 * first one after DynamoDB's return works. Of `open` and `close`, the one that was called last counts.
 */
export class DynamoDBConnection {
  readonly #target: DynamoDBTarget;
  #link: DynamoDBLink | undefined;
  #linking: Promise<DynamoDBLink> | undefined;
  #opening: Promise<void> | undefined;
  #creating: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  #isOpen = false;
  /** Counts the closings, so that what is under way sees that it was overtaken by one. */
  #session = 0;

  constructor(target: DynamoDBTarget) {
    this.#target = target;
  }

  /** @param probe finds out whether the table is there and may be used */
  async open(probe: (send: Send) => Promise<unknown>): Promise<void> {
    this.#isClosed = false;
    if (this.#isOpen) return;
    const opening = (this.#opening ??= this.#open(probe).finally(() => {
      if (this.#opening === opening) this.#opening = undefined;
    }));
    await opening;
  }

  close(): Promise<void> {
    const link = this.#link;
    this.#isClosed = true;
    this.#isOpen = false;
    this.#session += 1;
    this.#link = undefined;
    this.#linking = undefined;
    this.#opening = undefined;
    this.#creating = undefined;
    this.#closing = Promise.all([this.#closing, link && end(link)]).then(() => undefined);
    return this.#closing;
  }

  /** Sends a request, again where that helps, and creates the table first where it is missing and that is wanted. */
  readonly send: Send = async (request) => {
    const link = this.#link ?? (await this.#newLink());
    try {
      return await this.#send(link, request);
    } catch (error) {
      if (!isTableMissing(error) || !this.#target.createTable) throw explain(error, link.place);
    }
    try {
      await this.#createTable(link);
      return await this.#send(link, request);
    } catch (error) {
      throw explain(error, link.place);
    }
  };

  async #open(probe: (send: Send) => Promise<unknown>): Promise<void> {
    const link = this.#link ?? (await this.#newLink());
    try {
      await probe(this.send);
    } catch (error) {
      throw this.#link === link ? error : closedError('DynamoDBBackend');
    }
    if (this.#link !== link) throw closedError('DynamoDBBackend');
    this.#isOpen = true;
  }

  async #newLink(): Promise<DynamoDBLink> {
    if (this.#isClosed) throw closedError('DynamoDBBackend');
    const session = this.#session;
    const link = await (this.#linking ??= this.#makeLink());
    if (session !== this.#session) {
      link.end();
      throw closedError('DynamoDBBackend');
    }
    this.#link = link;
    return link;
  }

  async #makeLink(): Promise<DynamoDBLink> {
    const session = this.#session;
    try {
      return await makeLink(await loadSdk(), this.#target);
    } catch (error) {
      if (session === this.#session) this.#linking = undefined;
      throw error;
    }
  }

  async #send<Answer>(link: DynamoDBLink, request: Request<Answer>): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      if (link !== this.#link) throw closedError('DynamoDBBackend');
      try {
        return await link.flights.fly((abortSignal) => request(link, { abortSignal }));
      } catch (error) {
        if (link !== this.#link) throw closedError('DynamoDBBackend');
        if (isSilence(error)) link.dropIdle();
        const pauseMs = link.triesAgain && tries < MAX_TRIES ? pauseAfter(error, tries) : undefined;
        if (pauseMs === undefined) throw error;
        await delay(pauseMs);
      }
    }
  }

  #createTable(link: DynamoDBLink): Promise<void> {
    const send: Send = (request) => this.#send(link, request);
    const creating = (this.#creating ??= createTable(send, this.#target.table).finally(() => {
      if (this.#creating === creating) this.#creating = undefined;
    }));
    return creating;
  }
}

async function end(link: DynamoDBLink): Promise<void> {
  await link.flights.land(LANDING_MS);
  link.end();
}

/**
 * How long to wait before the same request is sent again; undefined where that does not help or might harm: what was
 * not answered in time may still arrive, after another write that came later.
 */
function pauseAfter(error: unknown, tries: number): number | undefined {
  if (isConnectionLost(error)) return tries === 1 ? 0 : undefined;
  return isPassing(error) ? backOffMs(tries) : undefined;
}
