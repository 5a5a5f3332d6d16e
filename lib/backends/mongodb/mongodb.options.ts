import type { Collection, Db, MongoClient, MongoClientOptions, W, WriteConcernSettings } from 'mongodb';
import { CachekitConfigError } from '../../core/errors.js';
import { checkOptionNames } from '../../core/option-names.js';
import { hasMethods, refuseUndefined } from '../given-client.js';
import { checkNamespace, DEFAULT_NAMESPACE } from '../namespace.js';
import { canDecode, PERCENT_ENCODING } from '../server-url.js';
import type { EntryCollection } from './mongodb.commands.js';

const DEFAULT_URL = 'mongodb://localhost:27017';
/** Of the database, and of the collection. */
const DEFAULT_NAME = 'cachekit';
/** How long the primary may wait for the other members, in milliseconds. */
const WRITE_CONCERN_TIMEOUT_MS = 1_000;

/**
 * Options of the driver that MongoDBBackend decides by itself: each would let reads miss the latest write, or writes
 * be lost.
 */
const FIXED_OPTIONS = [
  'j',
  'journal',
  'maxStalenessSeconds',
  'readConcern',
  'readConcernLevel',
  'readPreference',
  'readPreferenceTags',
  'w',
  'writeConcern',
  'wtimeout',
  'wtimeoutMS',
] as const;

type ServerConnectionOptions = Omit<MongoClientOptions, (typeof FIXED_OPTIONS)[number]>;

/** Who has to have a write before it counts. */
export interface MongoDBWriteConcern {
  /**
   * `'majority'` of the replica set: no failover loses the write. A number of members: `1` is the primary alone, faster,
   * and a failover can lose the last writes, invalidations among them. Or the name of a custom write concern. `0` is
   * refused.
   *
   * @default 'majority'
   */
  w?: number | string;
  /**
   * Whether they have to have it on disk. Absent: as the replica set is configured, which is yes for a majority.
   */
  j?: boolean;
  /**
   * How long the primary may wait for the other members, in milliseconds; then the operation rejects.
   *
   * @default 1000
   */
  wtimeoutMS?: number;
}

interface CommonOptions {
  /**
   * What the `_id`s of this backend begin with, a `:` following: 1 to 64 of `A-Z a-z 0-9 _ . -`. `clear` removes all of
   * it.
   *
   * @default 'cachekit'
   */
  namespace?: string;
  /** Who has to have a write before it counts. */
  writeConcern?: MongoDBWriteConcern;
}

interface ServerTarget extends CommonOptions {
  /**
   * The servers, `mongodb://user:password@host:port/database?options`, or `mongodb+srv://`.
   *
   * @default 'mongodb://localhost:27017'
   */
  url?: string | undefined;
  /** More options of the package "mongodb", beside the url, over which they win: `tls`, `auth`, timeouts in milliseconds. */
  options?: ServerConnectionOptions;
  /** The database. Absent: the one in the url; without one, `cachekit`. */
  database?: string;
  /**
   * The collection, which is created where it is missing.
   *
   * @default 'cachekit'
   */
  collection?: string;
  client?: never;
  db?: never;
}

interface ClientTarget extends CommonOptions {
  /** A client that the app has already. The backend never closes it. */
  client: MongoClient;
  /** The database. Absent: the client's own, which is the one in its url; without one, `test`. */
  database?: string;
  /** As above. */
  collection?: string;
  url?: never;
  options?: never;
  db?: never;
}

interface DbTarget extends CommonOptions {
  /** A database of a client that the app has already. The backend never closes it. */
  db: Db;
  /** As above. */
  collection?: string;
  url?: never;
  options?: never;
  client?: never;
  database?: never;
}

/** A collection, whatever type the app gives to its documents: `Collection` of one type is none of another. */
type AnyCollection = Pick<Collection, 'collectionName' | 'dbName' | 'namespace'>;

interface CollectionTarget extends CommonOptions {
  /** A collection of a client that the app has already. The backend never closes it. */
  collection: AnyCollection;
  url?: never;
  options?: never;
  client?: never;
  db?: never;
  database?: never;
}

/** How MongoDBBackend finds its collection: by a url, or through a client, database or collection of the app. */
export type MongoDBBackendOptions = ServerTarget | ClientTarget | DbTarget | CollectionTarget;

/** Checked options. `place` names the servers in messages, without user and password. */
export interface MongoDBTarget {
  readonly namespace: string;
  readonly place: string;
  readonly writeConcern: WriteConcernSettings;
  readonly source:
    | {
        readonly kind: 'server';
        readonly url: string;
        readonly options: MongoClientOptions;
        readonly database: string;
        readonly collection: string;
      }
    | { readonly kind: 'client'; readonly client: MongoClient; readonly collection: EntryCollection };
}

type AnyOptions = { readonly [K in (typeof NAMES)[number]]?: unknown };

const NAMES = [
  'namespace',
  'url',
  'options',
  'client',
  'db',
  'database',
  'collection',
  'writeConcern',
] as const;

/**
 * Checks what `new MongoDBBackend()` was given.
 *
 * @throws CachekitConfigError
 */
export function readMongoDBOptions(options: MongoDBBackendOptions): MongoDBTarget {
  checkOptionNames(options, NAMES, 'MongoDBBackend');
  checkTogether(options);
  const common = {
    namespace: checkNamespace(options.namespace ?? DEFAULT_NAMESPACE, 'MongoDBBackend'),
    writeConcern: checkWriteConcern(options.writeConcern ?? {}),
  };
  if (options.client !== undefined) return { ...common, ...readClient(options) };
  if (options.db !== undefined) return { ...common, ...readDb(options) };
  if (isCollectionTarget(options)) return { ...common, ...readCollection(options) };
  return { ...common, ...readServer(options) };
}

function checkTogether(options: AnyOptions): void {
  refuseUndefined(options, ['client', 'db', 'collection'], 'MongoDBBackend');
  const sources = (['url', 'client', 'db'] as const).filter((name) => options[name] !== undefined);
  const all = typeof options.collection === 'object' ? [...sources, 'collection (no name)'] : sources;
  if (all.length > 1) throw wrong(`give one of ${all.join(' and ')}, not both.`);
  const isGiven = all.length === 1 && options.url === undefined;
  if (isGiven && options.options !== undefined) {
    throw wrong('`options` have no effect on what the app has already. Give them to its client.');
  }
  if (isGiven && options.client === undefined && options.database !== undefined) {
    throw wrong('`database` has no effect beside a db or a collection, which know their own.');
  }
}

function isCollectionTarget(options: MongoDBBackendOptions): options is CollectionTarget {
  return typeof options.collection === 'object';
}

function readServer({ url = DEFAULT_URL, options = {}, database, collection }: ServerTarget) {
  if (typeof options !== 'object' || options === null) {
    throw wrong('`options` takes an object of options of the package "mongodb".');
  }
  const fixed = FIXED_OPTIONS.find((name) => Reflect.get(options, name) !== undefined);
  if (fixed !== undefined) {
    throw wrong(
      `\`options.${fixed}\` is decided by MongoDBBackend, so that every read sees the latest write. Leave it out; ` +
        'how writes are acknowledged is the option `writeConcern`.',
    );
  }
  const address = readUrl(url);
  const source = {
    kind: 'server' as const,
    url,
    options,
    database: checkDatabase(database ?? address.database ?? DEFAULT_NAME),
    collection: checkCollection(collection),
  };
  return { place: address.hosts, source };
}

function readClient({ client, database, collection }: ClientTarget) {
  if (!hasMethods(client, ['db', 'connect', 'on', 'off'])) {
    throw wrong('`client` is not a client of the package "mongodb" (new MongoClient()).');
  }
  const db = client.db(database === undefined ? undefined : checkDatabase(database));
  return given(client, db.collection(checkCollection(collection)));
}

function readDb({ db, collection }: DbTarget) {
  if (!hasMethods(db, ['collection', 'command', 'listCollections'])) {
    throw wrong('`db` is not a database of the package "mongodb" (client.db()).');
  }
  return readCollection({ collection: db.collection(checkCollection(collection)) });
}

function readCollection({ collection }: { collection: AnyCollection }) {
  if (!hasMethods(collection, ['findOne', 'replaceOne', 'createIndex'])) {
    throw wrong(
      '`collection` is neither a name nor a collection of the package "mongodb" (db.collection()).',
    );
  }
  return given(clientOf(collection), collection);
}

function given(client: MongoClient, collection: AnyCollection) {
  const { hosts } = client.options;
  // Documents of entries are written and read whole, whatever else the app calls a document there.
  const entries = collection as unknown as EntryCollection;
  return {
    place: `the given client of ${hosts.map(String).join(',')}`,
    source: { kind: 'client' as const, client, collection: entries },
  };
}

/** `collection.db` came with the package's version 7; before it a collection knew its client. */
function clientOf(collection: AnyCollection): MongoClient {
  const db: unknown = Reflect.get(collection, 'db');
  const client: unknown = Reflect.get(typeof db === 'object' && db !== null ? db : collection, 'client');
  if (hasMethods(client, ['db', 'connect', 'on', 'off'])) return client as MongoClient;
  throw wrong(
    'the given collection does not know its client. Give `client` and the name of the collection instead.',
  );
}

/** Scheme, user and password, hosts, database, parameters. */
const URL_PARTS = /^mongodb(?:\+srv)?:\/\/(?:[^@/?#]*@)?([^@/?#]+)(?:\/([^@/?#]*))?(?:\?[^@#]*)?$/;

function readUrl(url: string): { hosts: string; database: string | undefined } {
  const [, hosts, database] = (typeof url === 'string' && URL_PARTS.exec(url)) || [];
  // No message repeats the url: it may hold a password.
  if (hosts === undefined || !canDecode(url)) {
    throw wrong(
      'the url can\'t be read. It looks like "mongodb://user:password@host:27017/database" or begins with ' +
        `mongodb+srv://; ${PERCENT_ENCODING}.`,
    );
  }
  return { hosts, database: database ? decodeURIComponent(database) : undefined };
}

function checkDatabase(name: string): string {
  if (typeof name === 'string' && /^[^/\\. "$*<>:|?\0]{1,63}$/.test(name)) return name;
  throw wrong(
    `the database ${JSON.stringify(name)} is not allowed. Use 1 to 63 characters without / \\ . " $ * < > : | ?`,
  );
}

function checkCollection(name: string = DEFAULT_NAME): string {
  if (
    typeof name === 'string' &&
    /^(?!system\.|\.)[^$\0]{1,200}(?<!\.)$/.test(name) &&
    !name.includes('..')
  ) {
    return name;
  }
  throw wrong(
    `the collection ${JSON.stringify(name)} is not allowed. Use 1 to 200 characters without $, no dot at either end, and ` +
      'nothing that begins with "system."',
  );
}

function checkWriteConcern(given: MongoDBWriteConcern): WriteConcernSettings {
  checkOptionNames(given, ['w', 'j', 'wtimeoutMS'], 'MongoDBBackend, writeConcern');
  const { w = 'majority', j, wtimeoutMS = WRITE_CONCERN_TIMEOUT_MS } = given;
  const isName = typeof w === 'string' && w !== '';
  if (!isName && !(Number.isInteger(w) && Number(w) > 0)) {
    throw wrong(
      '`writeConcern.w` takes "majority", a number of members from 1, or the name of a custom write concern. With 0 ' +
        'nobody would know whether a write came to anything.',
    );
  }
  if (j !== undefined && typeof j !== 'boolean') throw wrong('`writeConcern.j` takes true or false.');
  if (!Number.isInteger(wtimeoutMS) || wtimeoutMS <= 0) {
    throw wrong('`writeConcern.wtimeoutMS` takes a number of milliseconds above 0.');
  }
  // The type of the driver leaves out the names of custom write concerns.
  return { w: w as W, wtimeoutMS, ...(j !== undefined && { j }) };
}

function wrong(message: string): CachekitConfigError {
  return new CachekitConfigError(`MongoDBBackend: ${message}`);
}
