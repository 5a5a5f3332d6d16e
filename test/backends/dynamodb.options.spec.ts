import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { CachekitConfigError } from 'nestjs-cachekit';
import { DynamoDBBackend, type DynamoDBBackendOptions } from 'nestjs-cachekit/dynamodb';

describe('the options of DynamoDBBackend', () => {
  test('may be absent', () => {
    expect(() => [
      new DynamoDBBackend(),
      new DynamoDBBackend({}),
      new DynamoDBBackend({ region: undefined, endpoint: undefined, credentials: undefined }),
    ]).not.toThrow();
  });

  test.each([
    ['table and region', { table: 'shop.cache_1-a', region: 'eu-west-1' }],
    ['an endpoint', { endpoint: 'http://localhost:8000', region: 'local' }],
    ['keys', { credentials: { accessKeyId: 'x', secretAccessKey: 'y', sessionToken: 'z' } }],
    ['a provider of keys', { credentials: async () => ({ accessKeyId: 'x', secretAccessKey: 'y' }) }],
    ['a client', { client: new DynamoDBClient({ region: 'x' }), createTable: true, namespace: 'shop' }],
  ] satisfies [string, DynamoDBBackendOptions][])('take %s', (_, options) => {
    expect(() => new DynamoDBBackend(options)).not.toThrow();
  });

  test.each<[string, object, RegExp]>([
    ['something else than an object', ['cachekit'], /DynamoDBBackend: the options must be an object/],
    ['an unknown name', { tableName: 'x' }, /unknown option "tableName".*table, createTable/],
    ['an illegal namespace', { namespace: 'a#b' }, /DynamoDBBackend: the namespace "a#b"/],
    ['a table of two characters', { table: 'ab' }, /the table "ab" must be 3 to 255/],
    ['a table that is an ARN', { table: 'arn:aws:dynamodb:eu-west-1:1:table/x' }, /a name, not an ARN/],
    ['a table that is no string', { table: 7 }, /the table 7/],
    ['a word for createTable', { createTable: 'yes' }, /`createTable` is true or false/],
    ['a region that is none', { region: 'eu west' }, /the region is a name/],
    ['an endpoint without a scheme', { endpoint: 'localhost:8000' }, /the endpoint is a url/],
    ['an endpoint that is no string', { endpoint: 8000 }, /the endpoint is a url/],
    ['an endpoint with a password', { endpoint: 'http://a:secret@localhost' }, /takes no user and password/],
    [
      'half of the keys',
      { credentials: { secretAccessKey: 'secret' } },
      /`credentials` takes \{ accessKeyId/,
    ],
    ['an empty key', { credentials: { accessKeyId: '', secretAccessKey: 'secret' } }, /`credentials` takes/],
    ['null for keys', { credentials: null }, /`credentials` takes/],
    ['a client that is undefined', { client: undefined }, /"client" is undefined/],
    ['something else than a client', { client: new Map() }, /not a client of the package "@aws-sdk/],
    [
      'a client of another service',
      { client: { send: () => 0, config: { serviceId: 'S3' } } },
      /not a client/,
    ],
    ['null for a client', { client: null }, /not a client/],
    [
      'a region beside a client',
      { client: new DynamoDBClient({ region: 'x' }), region: 'eu-west-1' },
      /`region` has no effect on a given client/,
    ],
  ])('refuse %s', (_, options, message) => {
    const make = () => Reflect.construct(DynamoDBBackend, [options]);

    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/secret(?!AccessKey)/);
  });

  test('do not compile in a mixture', () => {
    type Takes<T> = T extends DynamoDBBackendOptions ? true : false;

    expectTypeOf<Takes<{ table: string; region: string; createTable: true }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ client: DynamoDBClient; table: string }>>().toEqualTypeOf<true>();
    expectTypeOf<Takes<{ client: DynamoDBClient; region: string }>>().toEqualTypeOf<false>();
    expectTypeOf<Takes<{ credentials: { accessKeyId: string } }>>().toEqualTypeOf<false>();
  });
});
