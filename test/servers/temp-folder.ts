import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverUser } from './server-user.js';
import { removeFolderAtExit } from './watchdog.js';

/**
 * Makes an empty folder for one server's data, owned by the user that servers run as. It goes when this process
 * ends, or earlier with `removeTempFolder`.
 *
 * @param name what the folder is for, a part of its name
 */
export async function makeTempFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `cachekit-${name}-`));
  removeFolderAtExit(folder);
  await giveToServerUser(folder);
  return folder;
}

/** Writes a file into a folder that `makeTempFolder` made, owned by the user that servers run as. */
export async function writeTempFile(folder: string, name: string, content: string): Promise<void> {
  const file = join(folder, name);
  await writeFile(file, content);
  await giveToServerUser(file);
}

/** Removes a folder that `makeTempFolder` made. A second time does nothing. */
export async function removeTempFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

async function giveToServerUser(path: string): Promise<void> {
  const user = serverUser();
  if (user) await chown(path, user.uid, user.gid);
}
