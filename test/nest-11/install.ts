import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppProcess } from '../package/app-process.js';

const FOLDER = import.meta.dirname;
/** A copy of the lock file that was installed last. `npm ci` begins with removing it. */
const INSTALLED = join(FOLDER, 'node_modules', 'installed-package-lock.json');

/** Installs in this folder what its package-lock.json says, unless it is there already. */
export async function installNest11(): Promise<void> {
  const wanted = await readFile(join(FOLDER, 'package-lock.json'), 'utf8');
  const installed = await readFile(INSTALLED, 'utf8').catch(() => 'nothing');
  if (installed === wanted) return;

  const options = ['--prefer-offline', '--no-audit', '--no-fund'];
  const { exit, printed } = await new AppProcess(FOLDER, 'npm', ['ci', ...options]).ended;
  if (exit !== 0) throw new Error(`Nest 11: npm ci failed in ${FOLDER} (${exit}) and printed: ${printed}`);
  await writeFile(INSTALLED, wanted);
}
