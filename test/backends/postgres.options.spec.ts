import { describe, expect, expectTypeOf, test } from 'vitest';
import { CachekitConfigError } from 'nestjs-cachekit';
import { PostgresBackend, type PostgresBackendOptions } from 'nestjs-cachekit/postgres';
import { DataSource } from 'typeorm';

const URL = 'postgres://localhost/shop';

describe('the options of PostgresBackend', () => {
  test.each([
    ['a url', { url: URL }],
    ['a url with everything', { url: 'postgresql://u:p%23@[::1]:5433/shop?sslmode=disable' }],
    ['host and user', { options: { host: 'localhost', username: 'shop', password: 'p', database: 'shop' } }],
    [
      'a password that is asked for',
      { options: { host: 'localhost', password: () => Promise.resolve('p') } },
    ],
    ['a socket', { options: { host: '/var/run/postgresql' } }],
    ['more options of pg', { url: URL, options: { ssl: true, extra: { keepAlive: false } } }],
    ['a data source', { dataSource: new DataSource({ type: 'postgres' }) }],
    ['a table', { url: URL, schema: 'Cache', table: '_1', durable: true, createTable: false }],
    ['intervals in seconds and with a unit', { url: URL, sweepInterval: '5m' }],
    ['no sweeping', { url: URL, sweepInterval: Infinity, maxConnections: 1 }],
  ] satisfies [string, PostgresBackendOptions][])('take %s', (_, options) => {
    expect(() => new PostgresBackend(options)).not.toThrow();
  });

  test.each<[string, object | undefined, RegExp]>([
    ['nothing', undefined, /takes an object, for instance \{ url/],
    ['something else than an object', [URL], /takes an object, for instance \{ url/],
    ['no place', {}, /give `url`.*`options`.*`dataSource`/],
    ['an unknown name', { host: 'localhost' }, /unknown option "host".*goes into `options`/],
    ['an illegal namespace', { url: URL, namespace: 'a:b' }, /PostgresBackend: the namespace "a:b"/],
    ['a table with a quote', { url: URL, table: 'a"; DROP' }, /the table "a\\"; DROP" is not allowed/],
    ['a table with a schema', { url: URL, table: 'public.cache' }, /the table "public.cache" is not allowed/],
    ['a table that begins with a digit', { url: URL, table: '1' }, /no digit first/],
    ['a table that is no string', { url: URL, table: 1 }, /the table 1 is not allowed/],
    ['a long table', { url: URL, table: 'a'.repeat(49) }, /1 to 48/],
    ['a schema with a NUL', { url: URL, schema: 'a\0' }, /the schema "a\\u0000" is not allowed/],
    [
      'two places',
      { url: URL, dataSource: new DataSource({ type: 'postgres' }) },
      /one of url and dataSource/,
    ],
    ['a data source that is undefined', { dataSource: undefined }, /"dataSource" is undefined/],
    [
      'something else than a data source',
      { dataSource: new Map() },
      /not a DataSource of the package "typeorm"/,
    ],
    ['null for a data source', { dataSource: null }, /not a DataSource/],
    [
      'a data source of another kind',
      { dataSource: new DataSource({ type: 'mongodb' }) },
      /of type "mongodb"/,
    ],
    [
      'options beside a data source',
      { dataSource: new DataSource({ type: 'postgres' }), options: { host: 'localhost' } },
      /no effect on a given data source/,
    ],
    ['a url of another kind', { url: 'mysql://u:secret@localhost' }, /begins with "mysql:".*postgres:\/\//],
    ['a url of a socket', { url: '/var/run/postgresql' }, /can't be read.*unix socket/],
    ['a url that is no string', { url: 5432 }, /can't be read/],
    [
      'a password with a # in it',
      { url: 'postgres://u:secret#1@localhost:5432/' },
      /can't be read.*# is %23/,
    ],
    ['a password with a % in it', { url: 'postgres://u:secret%zz@localhost' }, /can't be read.*% is %25/],
    ['options that are no object', { options: 'secret' }, /`options` takes an object/],
    [
      'an option of typeorm that does not connect',
      { options: { synchronize: true } },
      /"options.synchronize"/,
    ],
    ['extra that is no object', { options: { extra: 'secret' } }, /`options.extra` takes an object/],
    [
      'the size of the pool',
      { options: { extra: { max: 9 } } },
      /`options.extra.max` is decided.*`maxConnections`/,
    ],
    ['binary results', { options: { extra: { binary: true } } }, /`options.extra.binary` is decided/],
    ['no connections', { url: URL, maxConnections: 0 }, /whole number of at least 1/],
    ['an interval of nothing', { url: URL, sweepInterval: 0 }, /`sweepInterval` takes a length of time/],
    [
      'an interval that is none',
      { url: URL, sweepInterval: '5 minutes' },
      /`sweepInterval` takes a length of time/,
    ],
    ['a flag that is none', { url: URL, durable: 'no' }, /`durable` takes true or false/],
  ])('refuse %s', (_, options, message) => {
    const make = () => Reflect.construct(PostgresBackend, [options]);

    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/secret/);
  });

  test('do not compile in a mixture, or where PostgresBackend decides', () => {
    type Takes<T> = T extends PostgresBackendOptions ? true : false;

    expectTypeOf<Takes<{ url: string; options: { ssl: true } }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ dataSource: DataSource; table: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ url: string; dataSource: DataSource }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ dataSource: DataSource; options: object }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ url: string; sweepInterval: 'soon' }>>().toEqualTypeOf<false>();
  });
});
