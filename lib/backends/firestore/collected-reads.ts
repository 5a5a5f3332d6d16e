import type { Stored } from '../cache-backend.js';

type ReadMany = (ids: readonly string[]) => Promise<readonly (Stored | undefined)[]>;

/**
 * Reads that come at the same time go out as one request, which saves the client a stream for each, and
 * Firestore counts a document once that many ask for. None joins a request that has gone out: it would miss
 * what was written since.
 */
export class CollectedReads {
  readonly #readMany: ReadMany;
  #ids: Set<string> | undefined;
  #found: Promise<Map<string, Stored | undefined>> | undefined;

  constructor(readMany: ReadMany) {
    this.#readMany = readMany;
  }

  async read(id: string): Promise<Stored | undefined> {
    this.#ids ??= new Set();
    this.#ids.add(id);
    this.#found ??= this.#collect(this.#ids);
    return (await this.#found).get(id);
  }

  async #collect(ids: Set<string>): Promise<Map<string, Stored | undefined>> {
    // Until everything that runs now, promises included, has come to its end.
    await new Promise<void>((resolve) => {
      process.nextTick(resolve);
    });
    this.#ids = undefined;
    this.#found = undefined;
    const asked = [...ids];
    const found = await this.#readMany(asked);
    return new Map(asked.map((id, index) => [id, found[index]]));
  }
}
