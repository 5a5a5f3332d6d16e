import type { Stored } from '../cache-backend.js';
import { settledWithin } from '../settled-within.js';

type ReadMany = (ids: readonly string[]) => Promise<ReadonlyMap<string, Stored>>;

/** So many commands are under way before reads wait for each other. Each takes a connection of its own. */
const MOST_UNDER_WAY = 16;
/** A command that takes longer does not keep the others waiting: it may be one that is never answered. */
const SLOW_MS = 250;
/** Few enough that one large entry does not hold up many small ones. */
const MOST_TOGETHER = 64;

/** Reads that wait together, until it is their turn. */
interface Batch {
  readonly ids: Set<string>;
  readonly found: Promise<ReadonlyMap<string, Stored>>;
  /** Sends them. */
  readonly go: () => void;
}

/**
 * Reads of single entries. The driver opens a connection for each command that runs, up to a hundred, and a thousand
 * callers may want an entry at once. So only some commands run at a time; those that wait share one, and those that want
 * the same entry one document of it. What is shared was not sent yet when the last of them asked, so nobody gets an
 * answer that is older than the question.
 */
export class SharedReads {
  readonly #readMany: ReadMany;
  /** In the order of their turns; ids are added to the last one. */
  readonly #waiting: Batch[] = [];
  #underWay = 0;

  constructor(readMany: ReadMany) {
    this.#readMany = readMany;
  }

  async get(id: string): Promise<Stored | undefined> {
    if (this.#underWay < MOST_UNDER_WAY) {
      this.#underWay += 1;
      return (await this.#send([id])).get(id);
    }
    const batch = this.#lastBatch();
    batch.ids.add(id);
    return (await batch.found).get(id);
  }

  #lastBatch(): Batch {
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.ids.size < MOST_TOGETHER) return last;
    const batch = this.#makeBatch();
    this.#waiting.push(batch);
    return batch;
  }

  #makeBatch(): Batch {
    const ids = new Set<string>();
    let go = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      go = resolve;
    });
    return { ids, go, found: turn.then(() => this.#send([...ids])) };
  }

  #send(ids: readonly string[]): Promise<ReadonlyMap<string, Stored>> {
    const found = this.#readMany(ids);
    void this.#passOn(found);
    return found;
  }

  /** Gives the turn of a command to those who wait. */
  async #passOn(found: Promise<unknown>): Promise<void> {
    await settledWithin(SLOW_MS, found);
    const next = this.#waiting.shift();
    if (next === undefined) this.#underWay -= 1;
    else next.go();
  }
}
