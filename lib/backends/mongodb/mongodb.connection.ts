import { LinkSession } from '../link.session.js';
import { createClient, loadMongodb } from './mongodb.client.js';
import type { EntryCollection } from './mongodb.commands.js';
import { commandError } from './mongodb.failure.js';
import { MongoDBLink } from './mongodb.link.js';
import type { MongoDBTarget } from './mongodb.options.js';

/**
 * Opens, closes, and runs commands where a link to MongoDB is up. Of `open` and `close`, the one that was called last
 * counts.
 */
export class MongoDBConnection {
  readonly #target: MongoDBTarget;
  readonly #session: LinkSession<MongoDBLink>;

  constructor(target: MongoDBTarget) {
    this.#target = target;
    this.#session = new LinkSession({ makeLink: () => makeLink(target), backend: 'MongoDBBackend' });
  }

  open(): Promise<void> {
    return this.#session.open();
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /** @throws BackendUnavailableError */
  async run<T>(command: (collection: EntryCollection) => Promise<T>): Promise<T> {
    const { link } = this.#session;
    const up = link?.isUp ? link : await this.#firstLink();
    try {
      return await up.run(command);
    } catch (error) {
      throw commandError(this.#target.place, error, up.problem);
    }
  }

  /** The link for a command that found none that is up. Waits only for the first attempt. */
  async #firstLink(): Promise<MongoDBLink> {
    const link = await this.#session.first();
    if (!link.isUp) throw link.awayError();
    return link;
  }
}

async function makeLink({ place, writeConcern, source }: MongoDBTarget): Promise<MongoDBLink> {
  const common = { place, writing: { writeConcern } };
  if (source.kind === 'client') return new MongoDBLink({ ...common, ...source, isOwn: false });
  const client = createClient(await loadMongodb(), source.url, source.options);
  const collection: EntryCollection = client.db(source.database).collection(source.collection);
  return new MongoDBLink({ ...common, client, collection, isOwn: true });
}
