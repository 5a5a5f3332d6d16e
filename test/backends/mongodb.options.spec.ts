import { type Collection, type Db, MongoClient } from 'mongodb';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { CachekitConfigError } from 'nestjs-cachekit';
import { MongoDBBackend, type MongoDBBackendOptions } from 'nestjs-cachekit/mongodb';

const URL = 'mongodb://localhost:27017';

describe('the options of MongoDBBackend', () => {
  test('may be absent', () => {
    expect(() => [
      new MongoDBBackend(),
      new MongoDBBackend({}),
      new MongoDBBackend({ url: undefined }),
    ]).not.toThrow();
  });

  test.each<[string, MongoDBBackendOptions]>([
    ['a url', { url: URL }],
    ['a url of several servers', { url: 'mongodb://a:27017,b:27018,[::1]/db?replicaSet=rs&tls=true' }],
    ['a url with user and password', { url: 'mongodb://u:p%23%40@localhost/db?authSource=admin' }],
    [
      'a url that DNS resolves',
      { url: 'mongodb+srv://u:p@cluster.example.net/?retryWrites=true&w=majority' },
    ],
    ['a url of a socket', { url: 'mongodb://%2Frun%2Fmongodb.sock' }],
    ['options of the driver', { url: URL, options: { tls: true, maxPoolSize: 10 } }],
    ['names of database and collection', { database: 'my-db', collection: 'cache.eu' }],
    ['a write concern', { writeConcern: { w: 1, j: true, wtimeoutMS: 100 } }],
    ['the name of a custom write concern', { writeConcern: { w: 'everyCountry' } }],
  ])('take %s', (_, options) => {
    expect(() => new MongoDBBackend(options)).not.toThrow();
  });

  test.each<[string, unknown, RegExp]>([
    ['something else than an object', URL, /must be an object/],
    ['an unknown name', { host: 'localhost' }, /unknown option "host".*url, options, client/],
    ['an illegal namespace', { namespace: 'a:b' }, /MongoDBBackend: the namespace "a:b"/],
    ['a client that is undefined', { client: undefined }, /"client" is undefined/],
    ['a db that is undefined', { db: undefined }, /"db" is undefined/],
    ['a collection that is undefined', { collection: undefined }, /"collection" is undefined/],
    ['options that are no object', { options: 'secret' }, /`options` takes an object/],
    ['a url of another kind', { url: 'redis://u:secret@localhost' }, /can't be read.*mongodb:\/\//],
    ['a url without a host', { url: 'mongodb://' }, /can't be read/],
    ['a url that is no string', { url: 27_017 }, /can't be read/],
    ['a password with a # in it', { url: 'mongodb://u:secret#1@localhost' }, /can't be read.*# is %23/],
    ['a password with an @ in it', { url: 'mongodb://u:secret@1@localhost' }, /can't be read.*@ is %40/],
    ['a password with a / in it', { url: 'mongodb://u:secret/1@localhost' }, /can't be read.*\/ is %2F/],
    ['a password with a % in it', { url: 'mongodb://u:secret%zz@localhost' }, /can't be read.*% is %25/],
    ['an illegal database', { database: 'a.b' }, /the database "a.b" is not allowed/],
    ['no database', { database: '' }, /the database "" is not allowed/],
    ['an illegal collection', { collection: 'a$b' }, /the collection "a\$b" is not allowed/],
    ['a collection of the system', { collection: 'system.users' }, /the collection "system.users"/],
    ['a collection that is a number', { collection: 7 }, /the collection 7 is not allowed/],
    ['a collection that is none', { collection: new Map() }, /neither a name nor a collection/],
    ['a client that is none', { client: new Map() }, /`client` is not a client of the package "mongodb"/],
    ['a db that is none', { db: {} }, /`db` is not a database of the package "mongodb"/],
    [
      'reading from secondaries',
      { options: { readPreference: 'nearest' } },
      /`options.readPreference` is decided/,
    ],
    ['a write concern in the options', { options: { w: 1 } }, /`options.w` is decided.*`writeConcern`/],
    ['writes that nobody acknowledges', { writeConcern: { w: 0 } }, /`writeConcern.w` takes.*With 0/],
    ['a write concern of half a member', { writeConcern: { w: 0.5 } }, /`writeConcern.w` takes/],
    ['an unknown part of a write concern', { writeConcern: { journal: true } }, /unknown option "journal"/],
    ['a journal that is no truth value', { writeConcern: { j: 1 } }, /`writeConcern.j` takes true or false/],
    ['no time for a write concern', { writeConcern: { wtimeoutMS: 0 } }, /`writeConcern.wtimeoutMS` takes/],
  ])('refuse %s', (_, options, message) => {
    const make = () => Reflect.construct(MongoDBBackend, [options]);

    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/secret/);
  });

  test('refuse two places, and what has no effect', () => {
    const client = new MongoClient(URL);
    const db = client.db('a');
    const make = (options: object) => () => Reflect.construct(MongoDBBackend, [options]);

    expect(make({ url: URL, client })).toThrow(/one of url and client, not both/);
    expect(make({ client, db })).toThrow(/one of client and db, not both/);
    expect(make({ db, collection: db.collection('b') })).toThrow(/one of db and collection \(no name\)/);
    expect(make({ client, options: {} })).toThrow(/no effect on what the app has already/);
    expect(make({ db, database: 'a' })).toThrow(/`database` has no effect/);
    expect(make({ client, database: 'a', collection: 'b' })).not.toThrow();
  });

  test('do not compile in a mixture, or where MongoDBBackend decides', () => {
    type Takes<T> = T extends MongoDBBackendOptions ? true : false;
    interface Product {
      readonly price: number;
    }

    expectTypeOf<Takes<{ url: string; options: { tls: boolean }; database: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ client: MongoClient; collection: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ db: Db; collection: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ collection: Collection; namespace: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ collection: Collection<Product> }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ url: string; client: MongoClient }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ client: MongoClient; options: object }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ db: Db; database: string }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ options: { readPreference: 'nearest' } }>>().toEqualTypeOf<false>();
  });
});
