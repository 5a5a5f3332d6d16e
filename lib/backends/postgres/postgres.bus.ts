import { createHash, randomUUID } from 'node:crypto';
import { withDeadline } from '../../core/deadline.js';
import { CachekitError } from '../../core/errors.js';
import type { BusListener, MessageBus } from '../message-bus.js';
import type { PgClient } from './pg.js';
import { loadSideClients } from './postgres.connection.js';
import { awayError } from './postgres.failure.js';
import type { PostgresTarget } from './postgres.options.js';
import type { SideClient } from './postgres.source.js';
import { RetryTimer } from '../retry.timer.js';

/** How often the server is asked for a sign of life, and how long it may take to give it: below two seconds in all. */
const HEARTBEAT_MS = 500;
const ANSWER_MS = 1_000;

/** How long it may take until a first message has arrived. */
const SUBSCRIBE_MS = 3_000;
const POOLED =
  'a message to itself did not arrive: a pooler that shares connections between transactions passes none, so give ' +
  'the backend a direct connection';

/** Of a message; NOTIFY takes less than 8,000, of which base64 needs a third. */
const MAX_BYTES = 4_000;

/** The first character tells how the rest is written: NOTIFY takes no NUL, nor an empty text. */
const PLAIN = '=';
const BASE64 = '+';

/** Passes messages through LISTEN and NOTIFY. */
export class PostgresBus implements MessageBus {
  readonly #target: PostgresTarget;
  readonly #notify: (channel: string, payload: string) => Promise<unknown>;
  readonly #channel: string;
  #listener: BusListener | undefined;
  #current: SideClient | undefined;
  #nextBeat: NodeJS.Timeout | undefined;
  readonly #retry = new RetryTimer(() => this.#connectAgain());
  #isUp = false;
  /** Counts the calls of `listen` and `close`, so that what is under way sees that it was overtaken. */
  #session = 0;
  #hangingUp: Promise<unknown> = Promise.resolve();

  /** @param notify sends, on a connection of the backend */
  constructor(target: PostgresTarget, notify: (channel: string, payload: string) => Promise<unknown>) {
    this.#target = target;
    this.#notify = notify;
    this.#channel = channelOf(target);
  }

  /** Rejects when the first attempt failed, and goes on trying. @throws BackendUnavailableError */
  async listen(listener: BusListener): Promise<void> {
    this.#listener = listener;
    this.#session += 1;
    await this.#connect(this.#session);
  }

  async send(text: string): Promise<void> {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_BYTES) {
      throw new RangeError(
        `PostgresBackend: a message of ${bytes} bytes; the bus takes at most ${MAX_BYTES}.`,
      );
    }
    const payload = text.includes('\0') ? BASE64 + Buffer.from(text).toString('base64') : PLAIN + text;
    await this.#notify(this.#channel, payload);
  }

  async close(): Promise<void> {
    this.#session += 1;
    this.#listener = undefined;
    this.#isUp = false;
    this.#retry.stop();
    this.#drop();
    await this.#hangingUp;
  }

  async #connect(session: number): Promise<void> {
    try {
      const makeSide = await loadSideClients(this.#target.server);
      if (session !== this.#session) return;
      const side = makeSide();
      this.#current = side;
      await side.client.connect();
      await withDeadline(
        this.#subscribe(side.client, makeSide),
        SUBSCRIBE_MS,
        () => `PostgresBackend: ${this.#target.server.place}: ${POOLED}`,
      );
      if (session === this.#session) this.#up(side);
    } catch (error) {
      if (session !== this.#session) return;
      this.#lost();
      throw error instanceof CachekitError ? error : awayError(this.#target.server.place, error);
    }
  }

  #up(side: SideClient): void {
    this.#retry.worked();
    this.#isUp = true;
    side.client.once('end', () => {
      if (side === this.#current) this.#lost();
    });
    this.#listener?.onUp();
    this.#beatLater(side);
  }

  /** Listens, and makes sure that messages of others arrive. */
  async #subscribe(client: PgClient, makeSide: () => SideClient): Promise<void> {
    const own = `cachekit_${randomUUID()}`;
    const arrived = new Promise<void>((resolve) => {
      client.on('notification', ({ channel, payload }: { channel: string; payload: string }) => {
        if (channel === own) resolve();
        else if (this.#isUp) this.#listener?.onMessage(read(payload));
      });
    });
    await client.query({ text: `LISTEN "${this.#channel}"` });
    await client.query({ text: `LISTEN "${own}"` });
    await tell(makeSide(), own);
    await arrived;
    await client.query({ text: `UNLISTEN "${own}"` });
  }

  #beatLater(side: SideClient): void {
    this.#nextBeat = setTimeout(() => void this.#beat(side), HEARTBEAT_MS);
    // A process that has nothing else to do may end.
    this.#nextBeat.unref();
  }

  async #beat(side: SideClient): Promise<void> {
    try {
      await withDeadline(side.client.query({ text: 'SELECT 1' }), ANSWER_MS, () => 'a heartbeat');
    } catch {
      // Told below; the event "end" may have been faster.
      if (side === this.#current) this.#lost();
      return;
    }
    if (side === this.#current) this.#beatLater(side);
  }

  #lost(): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#drop();
    this.#retry.later();
    if (wasUp) this.#listener?.onDown();
  }

  #connectAgain(): void {
    this.#connect(this.#session).catch(() => {
      // It is tried again, and who sends hears of it.
    });
  }

  #drop(): void {
    clearTimeout(this.#nextBeat);
    const hangingUp = this.#current?.hangUp();
    this.#current = undefined;
    this.#hangingUp = Promise.all([this.#hangingUp, hangingUp]);
  }
}

/** A name of at most 63 bytes, which a namespace may exceed. Channels are the database's, not the table's. */
function channelOf({ schema, table, namespace }: PostgresTarget): string {
  const digest = createHash('sha256').update(`${schema}.${table}:${namespace}`).digest('hex');
  return `cachekit_${digest.slice(0, 32)}`;
}

function read(payload: string): string {
  const text = payload.slice(1);
  return payload.startsWith(BASE64) ? Buffer.from(text, 'base64').toString() : text;
}

/**
 * Sends an empty message from another connection: a pooler before Postgres may take a LISTEN, and hand the connection
 * that listens to somebody else.
 */
async function tell({ client, hangUp }: SideClient, channel: string): Promise<void> {
  try {
    await client.connect();
    await client.query({ text: 'SELECT pg_notify($1, $2)', values: [channel, ''] });
  } finally {
    await hangUp();
  }
}
