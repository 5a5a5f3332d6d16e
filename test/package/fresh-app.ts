import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolderAtExit } from '../servers/watchdog.js';
import { AppProcess } from './app-process.js';

const FIXTURES = 'test/package/apps';

/**
 * An app outside of this repository, in a temporary folder of its own, with everything installed from npm. It goes
 * when this process ends.
 */
export class FreshApp {
  private folder: string | undefined;

  /**
   * @param name for the titles of tests
   * @param fixtures folders of `test/package/apps`, to be laid one over the other
   */
  constructor(
    readonly name: string,
    private readonly fixtures: readonly string[],
  ) {}

  /**
   * Makes the folder, and installs what its package.json names. It takes npm's own cache, so that what was downloaded
   * once is not downloaded again.
   *
   * @param tarball a package to install as well; absent means none
   */
  async install(tarball?: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'cachekit-app-'));
    removeFolderAtExit(folder);
    for (const fixture of this.fixtures) await cp(join(FIXTURES, fixture), folder, { recursive: true });

    const options = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
    const packages = tarball === undefined ? [] : [tarball];
    const { exit, printed } = await new AppProcess(folder, 'npm', ['install', ...options, ...packages]).ended;
    if (exit !== 0) throw new Error(`${this.name}: npm install failed (${exit}) and printed: ${printed}`);
    this.folder = folder;
  }

  /** Starts Node in the app's folder, with a file of the app or any other arguments. */
  node(...args: string[]): AppProcess {
    return new AppProcess(this.path(), process.execPath, args);
  }

  /** The path of the app's folder, or of something in it. */
  path(...parts: string[]): string {
    if (this.folder === undefined) throw new Error(`${this.name} is not installed.`);
    return join(this.folder, ...parts);
  }
}
