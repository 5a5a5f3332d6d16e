import { BackendUnavailableError, EntryTooLargeError } from '../../core/errors.js';
import type { Stored } from '../cache-backend.js';
import { expirationOf } from './expiration.js';
import { frame, unframe, type Generations } from './generation.js';
import type { MemcachedConnection } from './memcached.connection.js';
import { MemcachedLink } from './memcached.link.js';
import type { Address } from './memcached.options.js';
import { checkDeleted, itemIn, OPCODE, writtenIn, type Item } from './memcached.protocol.js';
import { readVersion, toVersion } from './version.js';

/** What memcached counts of an item besides the user's bytes is less: its header, the name, the generation. */
const ITEM_OVERHEAD_BYTES = 512;

/** Who is beaten to it so often has lost. */
const MOST_TRIES = 10;

/** What is to be written. */
export interface Entry {
  /** As the caller knows it, for messages. */
  readonly key: string;
  /** As memcached does. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly ttlMs: number;
}

/** What became of a write: the generation that was present just before it, and its id if its condition held. */
interface Attempt {
  readonly present: string | undefined;
  readonly cas: string | undefined;
}

/**
 * The part of a namespace that lies on one server: a marker with the present generation, and the entries whose place
 * is there.
 *
 * Whatever reads or writes an entry reads the marker in the same turn, just before it. An entry of another generation
 * counts as absent. One that is written in the generation of the marker, while a `clear` changes that, is as if it had
 * been written before the `clear`.
 */
export class Shard {
  readonly #link: MemcachedLink;
  readonly #generations: Generations;
  readonly #marker: string;
  /** The generation that was seen last. A write begins with it, and finds out whether it is over. */
  #guess: string | undefined;

  constructor(address: Address, namespace: string, generations: Generations) {
    this.#link = new MemcachedLink(address);
    this.#generations = generations;
    // Names of entries have a ":" behind the namespace.
    this.#marker = `${namespace}~generation`;
  }

  open(): Promise<void> {
    return this.#link.open();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  read(name: string): Promise<Stored | undefined> {
    return this.#link.run(async (connection) => {
      const [present, found] = await Promise.all([this.#present(connection), ask(connection, name)]);
      const bytes = found && present !== undefined ? unframe(present, found.value) : undefined;
      return found && bytes ? { bytes, version: toVersion(found.cas, present ?? '') } : undefined;
    });
  }

  /** Writes, whatever is there. */
  write(entry: Entry): Promise<Stored> {
    return this.#link.run(async (connection) => {
      checkSize(entry, connection);
      const guess = this.#guess ?? (await this.#begun(connection));
      const first = await this.#attempt(connection, OPCODE.set, entry, guess);
      if (first.present === guess) return toStored(entry, first, guess);

      // Not once more after this: a generation that is over again was ended by a `clear` that came after this write.
      const generation = first.present ?? (await this.#begun(connection));
      return toStored(entry, await this.#attempt(connection, OPCODE.set, entry, generation), generation);
    });
  }

  /** Writes if there is no entry of the present generation. */
  writeIfAbsent(entry: Entry): Promise<Stored | undefined> {
    return this.#link.run(async (connection) => {
      checkSize(entry, connection);
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const guess = this.#guess ?? (await this.#begun(connection));
        const added = await this.#attempt(connection, OPCODE.add, entry, guess);
        if (added.cas !== undefined && added.present === guess) return toStored(entry, added, guess);

        const [present, beneath] = await Promise.all([
          this.#present(connection),
          ask(connection, entry.name),
        ]);
        if (present === undefined || !beneath) continue;
        if (unframe(present, beneath.value)) return undefined;
        // It is of a generation that is over (or our own guess was): an entry that is absent, so it is written over.
        const written = await this.#attempt(connection, OPCODE.set, entry, present, beneath.cas);
        if (written.cas !== undefined) return toStored(entry, written, present);
      }
      return undefined;
    });
  }

  /** Writes if the entry still has the version that was seen. */
  writeIfSeen(entry: Entry, seen: string): Promise<Stored | undefined> {
    return this.#link.run(async (connection) => {
      checkSize(entry, connection);
      const version = readVersion(seen);
      if (!version) return undefined;
      const { cas, generation } = version;
      // Where its generation is over, one entry that counts as absent at most takes the place of another.
      const written = await this.#attempt(connection, OPCODE.set, entry, generation, cas);
      const isWritten = written.cas !== undefined && written.present === generation;
      return isWritten ? toStored(entry, written, generation) : undefined;
    });
  }

  remove(name: string): Promise<void> {
    return this.#link.run(async (connection) => {
      checkDeleted(await connection.ask({ opcode: OPCODE.delete, name }), connection.place);
    });
  }

  /** Begins a new generation, whatever the present one is. */
  clear(): Promise<void> {
    return this.#link.run(async (connection) => {
      const generation = this.#generations.next();
      writtenIn(await connection.ask(this.#begin(OPCODE.set, generation)), connection.place);
      this.#guess = generation;
    });
  }

  async #attempt(
    connection: MemcachedConnection,
    opcode: number,
    { name, bytes, ttlMs }: Entry,
    generation: string,
    cas?: string,
  ): Promise<Attempt> {
    const item = { value: frame(generation, bytes), expiration: expirationOf(ttlMs) };
    const [present, answer] = await Promise.all([
      this.#present(connection),
      connection.ask({ opcode, name, item, ...(cas !== undefined && { cas }) }),
    ]);
    return { present, cas: writtenIn(answer, connection.place) };
  }

  /** The present generation. Undefined: there is none. */
  async #present(connection: MemcachedConnection): Promise<string | undefined> {
    const answer = await connection.askOnce({ opcode: OPCODE.get, name: this.#marker });
    const marker = itemIn(answer, connection.place);
    this.#guess = marker && this.#generations.read(marker.value);
    return this.#guess;
  }

  /**
   * The present generation, begun now where there is none: the namespace is new here, the server was restarted or has
   * evicted the marker, or the marker is that of another list of servers.
   */
  async #begun(connection: MemcachedConnection): Promise<string> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const marker = await ask(connection, this.#marker);
      const generation = marker && this.#generations.read(marker.value);
      if (generation !== undefined) return generation;
      const fresh = this.#generations.next();
      const request = marker
        ? { ...this.#begin(OPCODE.set, fresh), cas: marker.cas }
        : this.#begin(OPCODE.add, fresh);
      if (writtenIn(await connection.ask(request), connection.place) !== undefined) return fresh;
    }
    throw new BackendUnavailableError(
      `MemcachedBackend: others keep changing "${this.#marker}" on ${connection.place}. Give all processes of a ` +
        'namespace the same list of servers, spelled the same way.',
    );
  }

  #begin(opcode: number, generation: string) {
    return { opcode, name: this.#marker, item: { value: Buffer.from(generation, 'latin1'), expiration: 0 } };
  }
}

async function ask(connection: MemcachedConnection, name: string): Promise<Item | undefined> {
  return itemIn(await connection.ask({ opcode: OPCODE.get, name }), connection.place);
}

function toStored({ bytes }: Entry, { cas }: Attempt, generation: string): Stored {
  if (cas === undefined)
    throw new BackendUnavailableError('MemcachedBackend: a set without a condition failed.');
  return { bytes, version: toVersion(cas, generation) };
}

/** Before anything is sent: memcached answers a set that is too large by dropping what was there before. */
function checkSize({ key, bytes }: Entry, { maxItemBytes }: MemcachedConnection): void {
  const limit = maxItemBytes - ITEM_OVERHEAD_BYTES;
  if (bytes.byteLength > limit)
    throw new EntryTooLargeError(key, bytes.byteLength, limit, 'MemcachedBackend');
}
