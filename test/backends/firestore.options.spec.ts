import { Firestore } from '@google-cloud/firestore';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CachekitConfigError } from 'nestjs-cachekit';
import { FirestoreBackend, type FirestoreBackendOptions } from 'nestjs-cachekit/firestore';

describe('the options of FirestoreBackend', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('may be absent', () => {
    expect(() => [new FirestoreBackend(), new FirestoreBackend({})]).not.toThrow();
  });

  test.each([
    ['project and database', { projectId: 'shop', databaseId: 'cache' }],
    ['what may be undefined', { projectId: undefined, databaseId: undefined, emulatorHost: undefined }],
    ['a collection', { collection: '__cache' }],
    ['an emulator', { emulatorHost: 'localhost:8080' }],
    ['an emulator by IPv6', { emulatorHost: '[::1]:8080' }],
    [
      'settings of the client',
      { settings: { keyFilename: 'key.json', apiEndpoint: 'eur3-firestore.googleapis.com' } },
    ],
    ['a client', { client: new Firestore({ projectId: 'demo' }), collection: 'cache', sweepInterval: '1h' }],
    ['never sweeping', { sweepInterval: Infinity }],
    ['sweeping more seldom than a timer can', { sweepInterval: '60d' }],
  ] satisfies [string, FirestoreBackendOptions][])('take %s', (_, options) => {
    expect(() => new FirestoreBackend(options)).not.toThrow();
  });

  test.each<[string, object, RegExp]>([
    ['something else than an object', ['shop'], /must be an object/],
    ['an unknown name', { project: 'shop' }, /unknown option "project".*projectId/],
    ['an illegal namespace', { namespace: 'a/b' }, /FirestoreBackend: the namespace "a\/b"/],
    ['an illegal collection', { collection: 'a/b' }, /FirestoreBackend: the collection "a\/b"/],
    ['a reserved collection', { collection: '__cache__' }, /"__cache__".*Take another/],
    ['a collection that is a path', { collection: '..' }, /"\.\.".*Take another/],
    ['an empty project', { projectId: '' }, /`projectId` takes a text/],
    ['a database that is no text', { databaseId: 7 }, /`databaseId` takes a text/],
    ['an interval without a unit', { sweepInterval: '300' }, /`sweepInterval`.*'5m'/],
    ['an interval of nothing', { sweepInterval: 0 }, /`sweepInterval`.*Infinity for never/],
    ['a negative interval', { sweepInterval: -1 }, /`sweepInterval`/],
    ['an emulator with a path', { emulatorHost: 'localhost:8080/v1' }, /`emulatorHost`.*"localhost:8080"/],
    [
      'an emulator with a protocol',
      { emulatorHost: 'http://localhost:8080' },
      /`emulatorHost` takes host and port/,
    ],
    ['an emulator that is no text', { emulatorHost: 8080 }, /`emulatorHost` takes host and port/],
    ['settings that are no object', { settings: 'key.json' }, /`settings` takes an object/],
    [
      'a project in the settings',
      { settings: { projectId: 'shop' } },
      /`settings.projectId`.*option `projectId`/,
    ],
    ['another host in the settings', { settings: { host: 'localhost' } }, /`settings.host`.*`emulatorHost`/],
    ['no TLS', { settings: { ssl: false } }, /`settings.ssl`.*TLS/],
    ['REST', { settings: { preferRest: true } }, /`settings.preferRest`.*`client`/],
    ['a client that is undefined', { client: undefined }, /"client" is undefined/],
    ['something else than a client', { client: new Map() }, /not a client of the package.*give `projectId`/],
    ['null for a client', { client: null }, /not a client of the package/],
    [
      'a project for a given client',
      { client: new Firestore({ projectId: 'demo' }), projectId: 'shop' },
      /`projectId` has no effect on a given client/,
    ],
  ])('refuse %s', (_, options, message) => {
    const make = (): unknown => Reflect.construct(FirestoreBackend, [options]);

    expect(make).toThrow(CachekitConfigError);
    expect(make).toThrow(message);
  });

  test('refuse an emulator that is not the one of the environment, which the client would take', () => {
    vi.stubEnv('FIRESTORE_EMULATOR_HOST', 'localhost:8080');

    expect(() => new FirestoreBackend({ emulatorHost: 'localhost:8080' })).not.toThrow();
    expect(() => new FirestoreBackend({ emulatorHost: 'localhost:9090' })).toThrow(
      /FIRESTORE_EMULATOR_HOST says "localhost:8080"/,
    );
  });
});
