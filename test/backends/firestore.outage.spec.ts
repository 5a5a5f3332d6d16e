import { FirestoreBackend } from 'nestjs-cachekit/firestore';
import { describeOutages } from '../faults/describe-outages.js';
import { describeOn } from '../servers/describe-on.js';
import { startFirestore } from '../servers/firestore.server.js';

describeOn('firestore process', 'FirestoreBackend', () => {
  describeOutages({
    start: () => startFirestore(),
    make: (port, namespace) => new FirestoreBackend({ emulatorHost: `127.0.0.1:${port}`, namespace }),
    backWithinMs: 30_000,
  });
});
