import { BSON } from 'mongodb';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError, toWriteError } from './engine-error.js';
import { bsonIn, type Engine } from './engine.js';

/** A command as it came, and what the gateway has to know of it. */
export interface Command {
  readonly name: string;
  readonly database: string;
  readonly bytes: Buffer;
  readonly fields: BSON.Document;
}

/** A BSON document, or what becomes one. */
export type Answer = Buffer | BSON.Document;

const OK = { ok: 1 };
const EMPTY_DOCUMENT_BYTES = 5;
const BSON_ARGUMENT = '::bytea::documentdb_core.bson';
/** How often it is looked whether an index is built, and how often at most: for ten seconds. */
const BUILD_PAUSE_MS = 25;
const BUILD_LOOKS = 400;

/** Answers commands with what DocumentDB's functions answer. Cursors are those of one gateway. */
export class Commands {
  /** Where each open cursor goes on, by its number. */
  private readonly cursors = new Map<string, Buffer>();

  /** @throws CommandError when there is no such command; what the engine throws otherwise */
  async run(engine: Engine, command: Command): Promise<Answer> {
    switch (command.name.toLowerCase()) {
      case 'insert':
      case 'update':
      case 'delete':
        return write(engine, command);
      case 'find':
        return this.firstPage(engine, command, 'find_cursor_first_page');
      case 'aggregate':
        return this.firstPage(engine, command, 'aggregate_cursor_first_page');
      case 'listcollections':
        return this.firstPage(engine, command, 'list_collections_cursor_first_page');
      case 'listindexes':
        return this.firstPage(engine, command, 'list_indexes_cursor_first_page');
      case 'getmore':
        return this.nextPage(engine, command);
      case 'killcursors':
        for (const id of command.fields['cursors']) this.cursors.delete(String(id));
        return { ...OK, cursorsKilled: command.fields['cursors'] };
      case 'createindexes':
        return createIndexes(engine, command);
      case 'create':
        return createCollection(engine, command);
      case 'drop':
        return dropCollection(engine, command);
      case 'dropdatabase':
        await engine.row('SELECT documentdb_api.drop_database($1)', [command.database]);
        return OK;
      case 'createuser':
        return createUser(engine, command);
      default:
        throw new CommandError(59, 'CommandNotFound', `no such command: '${command.name}'`);
    }
  }

  private async firstPage(engine: Engine, { database, bytes }: Command, call: string): Promise<Answer> {
    const row = await engine.row(`SELECT * FROM documentdb_api.${call}($1, $2${BSON_ARGUMENT}, 0)`, [
      database,
      bytes,
    ]);
    return this.page(row);
  }

  private async nextPage(engine: Engine, { database, bytes, fields }: Command): Promise<Answer> {
    const id = String(fields['getMore']);
    const continuation = this.cursors.get(id);
    if (!continuation) throw new CommandError(43, 'CursorNotFound', `cursor id ${id} not found`);
    const row = await engine.row(
      `SELECT * FROM documentdb_api.cursor_get_more($1, $2${BSON_ARGUMENT}, $3${BSON_ARGUMENT})`,
      [database, bytes, continuation],
    );
    this.cursors.delete(id);
    return this.page(row);
  }

  private page(row: Awaited<ReturnType<Engine['row']>>): Answer {
    const page = bsonIn(row['cursorpage']);
    if (row['continuation'] === null) return page;
    if (row['persistconnection'] === true) {
      throw new CommandError(238, 'NotImplemented', 'The gateway keeps no cursor that needs a transaction.');
    }
    const { cursor } = BSON.deserialize(page, { promoteLongs: false });
    this.cursors.set(String(cursor.id), bsonIn(row['continuation']));
    return page;
  }
}

async function write(engine: Engine, { name, database, bytes, fields }: Command): Promise<Answer> {
  const row = await engine.row(
    `SELECT p_result FROM documentdb_api.${name.toLowerCase()}($1, $2${BSON_ARGUMENT}, NULL, $3)`,
    [database, bytes, retryId(fields)],
  );
  const result = bsonIn(row['p_result']);
  const document = BSON.deserialize(result);
  if (!document['writeErrors']?.length) return result;
  return { ...document, writeErrors: document['writeErrors'].map(toWriteError) };
}

/** Names a write that its client may repeat: the engine answers the second time what it answered the first. */
function retryId({ lsid, txnNumber }: BSON.Document): string | null {
  return txnNumber === undefined ? null : `${lsid.id.toString('hex')}:${txnNumber}`;
}

async function createIndexes(engine: Engine, { database, bytes }: Command): Promise<Answer> {
  const row = await engine.row(
    `SELECT * FROM documentdb_api.create_indexes_background($1, $2${BSON_ARGUMENT})`,
    [database, bytes],
  );
  const { raw, ...result } = BSON.deserialize(bsonIn(row['retval']));
  const answer = { ...OK, ...(raw?.defaultShard ?? result) };
  if (answer.ok !== 1) return toWriteError(answer);
  await untilBuilt(engine, row['requests']);
  return answer;
}

/** The engine builds in the background, up to a few seconds later; MongoDB answers when the index is there. */
async function untilBuilt(engine: Engine, requests: unknown): Promise<void> {
  const isEmpty = requests === null || bsonIn(requests).length === EMPTY_DOCUMENT_BYTES;
  if (isEmpty) return;
  for (let look = 0; look < BUILD_LOOKS; look++) {
    const { complete } = await engine.row(
      `SELECT * FROM documentdb_api_internal.check_build_index_status($1${BSON_ARGUMENT})`,
      [bsonIn(requests)],
    );
    if (complete === true) return;
    await delay(BUILD_PAUSE_MS);
  }
  throw new CommandError(50, 'MaxTimeMSExpired', 'The engine did not build the index in time.');
}

async function createCollection(engine: Engine, { database, bytes }: Command): Promise<Answer> {
  await engine.row(`SELECT documentdb_api.create_collection_view($1, $2${BSON_ARGUMENT})`, [database, bytes]);
  return OK;
}

async function dropCollection(engine: Engine, { database, fields }: Command): Promise<Answer> {
  await engine.row('SELECT documentdb_api.drop_collection($1, $2)', [database, fields['drop']]);
  return OK;
}

async function createUser(engine: Engine, { bytes }: Command): Promise<Answer> {
  const row = await engine.row(`SELECT documentdb_api.create_user($1${BSON_ARGUMENT}) AS result`, [bytes]);
  return bsonIn(row['result']);
}
