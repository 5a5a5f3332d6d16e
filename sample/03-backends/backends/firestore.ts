import { FirestoreBackend } from 'nestjs-cachekit/firestore';

/** The emulator on this machine, unless FIRESTORE_PROJECT names a real one. */
const projectId = process.env['FIRESTORE_PROJECT'];

export const backend = new FirestoreBackend(
  projectId === undefined
    ? { projectId: 'demo-places', emulatorHost: process.env['FIRESTORE_EMULATOR_HOST'] ?? 'localhost:8080' }
    : { projectId },
);
