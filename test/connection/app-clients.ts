import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { CacheBackend } from 'nestjs-cachekit';
import { DynamoDBBackend } from 'nestjs-cachekit/dynamodb';
import { FirestoreBackend } from 'nestjs-cachekit/firestore';
import { MongoDBBackend } from 'nestjs-cachekit/mongodb';
import { PostgresBackend } from 'nestjs-cachekit/postgres';
import { RedisBackend } from 'nestjs-cachekit/redis';
import type { EventEmitter } from 'node:events';
import { DataSource } from 'typeorm';
import { expect, vi } from 'vitest';
import type { BackendName } from '../remote-backends.js';
import { dynamodbAt } from '../servers/dynamodb.server.js';
import { clientOf } from '../servers/firestore.server.js';
import { endAfterReads } from './end-after-reads.js';

/** A client that an app has made for itself, and gives to a backend. */
export interface AppClient {
  /** A backend on it, which nobody has opened. */
  readonly makeBackend: (namespace: string) => CacheBackend;
  /** Resolves when the app gets an answer through it. */
  readonly use: () => Promise<unknown>;
  /** What others have left on it: how many listeners, for instance. */
  readonly traces: () => unknown;
  /** Ends it, as only the app may. */
  readonly end: () => unknown;
}

/** How an app makes its client. */
export interface AppClientKind {
  /** As an app does that leaves it to the first use to connect, where the client can. */
  readonly make: (address: string) => AppClient | Promise<AppClient>;
  /** What a backend says of one that the app has ended. `undefined`: it goes on when it is used again. */
  readonly ended: RegExp | undefined;
}

/** The client that each backend takes. `undefined`: it takes none. */
export const APP_CLIENTS: Readonly<Record<BackendName, AppClientKind | undefined>> = {
  RedisBackend: {
    ended: /status "end"/,
    make(url) {
      // Many an app lets it try for ever, and its commands wait for ever.
      const client = new Redis(url, {
        lazyConnect: true,
        maxRetriesPerRequest: null,
        retryStrategy: () => 20,
      });
      client.on('error', () => undefined);
      return {
        makeBackend: (namespace) => new RedisBackend({ client, namespace }),
        use: () => client.ping(),
        traces: () => listenersOf(client),
        end: () => client.disconnect(),
      };
    },
  },
  PostgresBackend: {
    ended: /was destroyed/,
    // Only the app initializes it, which connects.
    async make(url) {
      const dataSource = new DataSource({ type: 'postgres', url, poolErrorHandler: () => undefined });
      await dataSource.initialize();
      return {
        makeBackend: (namespace) => new PostgresBackend({ dataSource, namespace }),
        use: () => dataSource.query('SELECT 1'),
        traces: () => listenersOf(Reflect.get(dataSource.driver, 'master') as EventEmitter),
        end: () => dataSource.isInitialized && dataSource.destroy(),
      };
    },
  },
  // memjs loses count of its answers after a broken connection, and then times out for ever.
  MemcachedBackend: undefined,
  MongoDBBackend: {
    ended: /must be connected/,
    make(url) {
      const client = new MongoClient(url, { serverSelectionTimeoutMS: 300, heartbeatFrequencyMS: 500 });
      return {
        makeBackend: (namespace) => new MongoDBBackend({ client, namespace }),
        use: () => client.db().command({ ping: 1 }),
        traces: () => listenersOf(client),
        end: () => client.close(),
      };
    },
  },
  FirestoreBackend: {
    ended: /the app has terminated it/,
    make(host) {
      const client = clientOf(host);
      return {
        makeBackend: (namespace) => new FirestoreBackend({ client, namespace }),
        use: () => client.doc('any/document').get(),
        // There is nothing to listen to.
        traces: () => undefined,
        end: endAfterReads(client),
      };
    },
  },
  DynamoDBBackend: {
    ended: undefined,
    make(url) {
      const client = new DynamoDBClient(dynamodbAt(url));
      const end = vi.spyOn(client, 'destroy');
      return {
        makeBackend: (namespace) => new DynamoDBBackend({ client, createTable: true, namespace }),
        use() {
          // It would answer nevertheless.
          expect(end).not.toHaveBeenCalled();
          return client.send(new ListTablesCommand({}));
        },
        traces: () => client.middlewareStack.identify(),
        end: () => client.destroy(),
      };
    },
  },
};

function listenersOf(emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]));
}
