import { execFile } from 'node:child_process';
import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeFolderAtExit } from '../servers/watchdog.js';

const execute = promisify(execFile);

/**
 * Packs the package as `npm publish` would, from what `npm run build` left in `dist`, and answers the tarball, which
 * goes when this process ends. Rejects when `dist` is missing or older than `lib`: it would show another package.
 */
export async function packPackage(): Promise<string> {
  const [source, built] = await Promise.all([newest('lib'), newest('dist/lib').catch(() => 0)]);
  if (built < source) throw new Error('dist/lib is missing or older than lib. Run: npm run build');

  const folder = await mkdtemp(join(tmpdir(), 'cachekit-packed-'));
  removeFolderAtExit(folder);
  // Without the script `prepack`, which empties `dist` while other tests read it.
  const options = ['--ignore-scripts', '--json', `--pack-destination=${folder}`];
  const { stdout } = await execute('npm', ['pack', ...options]);
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  if (!packed) throw new Error(`npm pack made nothing, and printed: ${stdout}`);
  return join(folder, packed.filename);
}

/** When the last of the files in `folder` was changed, in milliseconds since 1970. */
async function newest(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const stats = await Promise.all(files.map((file) => stat(file)));
  return Math.max(...stats.map(({ mtimeMs }) => mtimeMs));
}
