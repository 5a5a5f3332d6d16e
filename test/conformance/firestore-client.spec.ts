import { FirestoreBackend } from 'nestjs-cachekit/firestore';
import { describeBackend } from 'nestjs-cachekit/testing';
import { afterAll, inject } from 'vitest';
import { describeOn } from '../servers/describe-on.js';
import { clientOf } from '../servers/firestore.server.js';
import { runner } from './describe-remote.js';

describeOn('firestore', 'on the shared firestore', () => {
  const client = clientOf(inject('firestoreHost'));
  afterAll(() => client.terminate());
  describeBackend(
    'FirestoreBackend over a client of the app',
    (namespace) => new FirestoreBackend({ client, namespace }),
    runner,
  );
});
