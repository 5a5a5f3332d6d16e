import { access } from 'node:fs/promises';
import { expect } from 'vitest';
import type { ServerProcess } from './server-process.js';

/** Stops a server that is frozen, twice, and expects that its data is gone then. */
export async function stopWhileFrozen(server: ServerProcess): Promise<void> {
  const { folder } = server.place;
  await access(folder);
  await server.freeze();
  await server.stop();
  await server.stop();
  await expect(access(folder)).rejects.toThrow('ENOENT');
}
