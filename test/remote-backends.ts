import type { CacheBackend } from 'nestjs-cachekit';
import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';
import { FirestoreBackend } from 'nestjs-cachekit/firestore';
import { MemcachedBackend } from 'nestjs-cachekit/memcached';
import { MongoDBBackend } from 'nestjs-cachekit/mongodb';
import { PostgresBackend } from 'nestjs-cachekit/postgres';
import { RedisBackend } from 'nestjs-cachekit/redis';
import type { Need } from './servers/need.js';

export type BackendName =
  | 'RedisBackend'
  | 'PostgresBackend'
  | 'MemcachedBackend'
  | 'MongoDBBackend'
  | 'FirestoreBackend'
  | 'DynamoDBBackend';

/** A backend with a server that all specs share. Made without a test runner, so that other processes can make it. */
export interface RemoteBackend {
  readonly name: BackendName;
  readonly need: Need;
  /** Under which name the global setup provides the address of the server. */
  readonly provided:
    'redisUrl' | 'postgresUrl' | 'memcachedUrl' | 'mongodbUrl' | 'firestoreHost' | 'dynamodbUrl';
  /** @param address as it is provided, or that of a proxy before it: see `throughPort` */
  readonly make: (address: string, namespace: string) => CacheBackend;
  /** How many connections it opens at most for so many operations at once. */
  readonly mostConnections: (operations: number) => number;
}

/** All of them. A new one is an entry here. */
export const REMOTE_BACKENDS: readonly RemoteBackend[] = [
  {
    name: 'RedisBackend',
    need: 'redis',
    provided: 'redisUrl',
    make: (url, namespace) => new RedisBackend({ url, namespace }),
    mostConnections: () => 1,
  },
  {
    name: 'PostgresBackend',
    need: 'postgres',
    provided: 'postgresUrl',
    make: (url, namespace) => new PostgresBackend({ url, namespace }),
    mostConnections: (operations) => Math.min(operations, 4),
  },
  {
    name: 'MemcachedBackend',
    need: 'memcached',
    provided: 'memcachedUrl',
    make: (url, namespace) => new MemcachedBackend({ url, namespace }),
    mostConnections: () => 1,
  },
  {
    name: 'MongoDBBackend',
    need: 'mongodb',
    provided: 'mongodbUrl',
    make: (url, namespace) => new MongoDBBackend({ url, namespace }),
    // The pool of the driver, and the two by which it watches the server.
    mostConnections: (operations) => Math.min(operations, 100) + 2,
  },
  {
    name: 'FirestoreBackend',
    need: 'firestore',
    provided: 'firestoreHost',
    make: (emulatorHost, namespace) => new FirestoreBackend({ emulatorHost, namespace }),
    // The client opens one more for every hundred calls.
    mostConnections: (operations) => Math.ceil(operations / 100),
  },
  {
    name: 'DynamoDBBackend',
    need: 'dynamodb',
    provided: 'dynamodbUrl',
    make: (endpoint, namespace) =>
      new DynamoDBBackend({
        endpoint,
        region: 'us-east-1',
        credentials: { accessKeyId: 'nobody', secretAccessKey: 'nothing' },
        createTable: true,
        namespace,
      }),
    mostConnections: (operations) => Math.min(operations, 100),
  },
];

/**
 * The same backend, with deadlines that also hold on a machine which is busy with other tests: for tests that say
 * what happens when operations work.
 */
export function patient(backend: CacheBackend): CacheBackend {
  return Object.assign(backend, { deadlines: { readMs: 10_000, writeMs: 10_000 } });
}

/** The port in an address. */
export function portOf(address: string): number {
  return Number(PORT.exec(address)?.[1]);
}

/** The same address, with another port. */
export function throughPort(address: string, port: number): string {
  return address.replace(PORT, `:${port}`);
}

const PORT = /:(\d+)(?=\/|$)/;
