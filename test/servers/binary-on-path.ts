import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Program } from './program.js';

/** Where package managers put servers that the PATH of an ordinary user may not have. */
const WELL_KNOWN_FOLDERS = [
  '/usr/local/bin',
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
];

/**
 * The first of the programs `names` that lies in a folder of PATH or in a well-known one. Rejects when there is none.
 *
 * @param names file names, the preferred one first
 * @param folders more well-known folders, for servers that have one of their own
 */
export async function binaryOnPath(
  names: readonly string[],
  folders: readonly string[] = [],
): Promise<Program> {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const name of names) {
    for (const folder of [...path, ...folders, ...WELL_KNOWN_FOLDERS]) {
      const file = join(folder, name);
      if (await isExecutable(file)) return { foundBy: 'PATH', file, args: [] };
    }
  }
  throw new Error(`no ${names.join(' or ')}`);
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
