import { FirestoreBackend } from 'nestjs-cachekit/firestore';
import { describeBackend } from 'nestjs-cachekit/testing';
import { afterAll, beforeAll, inject } from 'vitest';
import { patient } from '../remote-backends.js';
import { describeOn } from '../servers/describe-on.js';
import { clientOf } from '../servers/firestore.server.js';
import { runner } from './describe-remote.js';

describeOn('firestore', 'on the shared firestore', () => {
  const client = clientOf(inject('firestoreHost'));
  // Its first call loads what it needs, which on a busy machine takes longer than a backend waits.
  beforeAll(async () => void (await client.doc('any/document').get()));
  afterAll(() => client.terminate());
  describeBackend(
    'FirestoreBackend over a client of the app',
    (namespace) => patient(new FirestoreBackend({ client, namespace })),
    runner,
  );
});
