import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { setUpDynamodb } from './dynamodb.server.js';
import { setUpFirestore } from './firestore.server.js';
import { setUpMemcachedSasl } from './memcached-sasl.server.js';
import { setUpMemcached } from './memcached.server.js';
import { setUpMongodb } from './mongodb.server.js';
import { setUpPostgres } from './postgres.server.js';
import { setUpRedis } from './redis.server.js';
import type { SetUp } from './set-up.js';
import { makeTempFolder, removeTempFolder } from './temp-folder.js';
import { provideFacts } from './tested-against.js';

/** Every backend's servers. A new one is a `*.server.ts` file and an entry here. */
export const SET_UPS: readonly SetUp[] = [
  setUpRedis,
  setUpPostgres,
  setUpDynamodb,
  setUpFirestore,
  setUpMemcached,
  setUpMemcachedSasl,
  setUpMongodb,
];

/** Starts the servers that all specs share, all at once, and answers how to stop them. Vitest calls it once a run. */
export default async function globalSetup({ provide }: TestProject): Promise<() => Promise<void>> {
  const servers = await Promise.all(SET_UPS.map((setUp) => setUp(provide)));
  const folder = await makeTempFolder('run');
  const facts = servers.flatMap((server) => server.facts);
  provideFacts(provide, join(folder, 'tested-against.jsonl'), facts);

  return async () => {
    await Promise.all(servers.map(({ stop }) => stop()));
    await removeTempFolder(folder);
  };
}
