import {
  access,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { aptDownload } from './apt-download.js';
import type { Program } from './program.js';
import { runTool } from './run-tool.js';
import { removeFolderAtExit } from './watchdog.js';

/** Packages of Debian's archive, unpacked together into one folder. */
export interface Packages {
  /** The folder's name within the cache. */
  readonly name: string;
  readonly packages: readonly string[];
  /** The Debian release to take them from, as a code name; absent means this machine's own. */
  readonly suite?: string;
  /**
   * Links that their own installation scripts would make, which don't run: path below the unpacked root, and what it
   * points to. Absent means none.
   */
  readonly links?: Readonly<Record<string, string>>;
  /** Folders of libraries below the unpacked root, beside those of the system. Absent means none. */
  readonly libraries?: readonly string[];
}

/**
 * The program `file` of Debian packages that lie unpacked in a folder of this user's own: nothing is installed, no
 * service starts and root is not needed. The first time they are downloaded, some ten megabytes for Redis. Rejects
 * on another system than Debian, and when the download fails.
 *
 * @param file the program's path below the unpacked root, such as "usr/bin/redis-server"
 */
export async function debianProgram(packages: Packages, file: string): Promise<Program> {
  const root = await unpackedRoot(packages);
  const system = await libraryFolders(root);
  const libraries = [...system, ...(packages.libraries ?? []).map((folder) => join(root, folder))];
  const program = join(root, file);
  // Through the loader that was unpacked with it, since this machine's C library may be older than it needs.
  const args = ['--library-path', libraries.join(':'), '--argv0', program, program];
  return { foundBy: 'Debian archive', file: await loader(system), args };
}

async function unpackedRoot(packages: Packages): Promise<string> {
  const release = await ownRelease();
  const cache = await cacheFolder();
  const suite = packages.suite ?? release;
  const folder = join(cache, `${packages.name}-${suite}-${process.arch}`);
  if (!(await isComplete(folder))) await unpackInto(folder, suite, packages);
  return join(folder, 'root');
}

async function ownRelease(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codeName = /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1];
  if (!/^ID=debian$/m.test(text)) throw new Error('this is not Debian');
  if (codeName === undefined) throw new Error('/etc/os-release names no VERSION_CODENAME');
  return codeName;
}

/** Where unpacked servers are kept: CACHEKIT_SERVERS_DIR, else a folder of this user's own below /var/tmp. */
export async function cacheFolder(): Promise<string> {
  const given = process.env['CACHEKIT_SERVERS_DIR'];
  // Not below the home directory: `nobody`, as whom servers run when the tests run as root, can't enter root's.
  const folder = resolve(given ?? `/var/tmp/cachekit-servers-${process.getuid?.() ?? 'user'}`);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  if (given !== undefined) return folder;

  // Anybody can make a folder in /var/tmp, also one of this name with a program in it that we would run.
  const { uid } = await lstat(folder);
  if (uid === process.getuid?.()) return folder;
  throw new Error(`${folder} belongs to user ${uid}; remove it, or set CACHEKIT_SERVERS_DIR`);
}

/** Unpacks into a folder beside it and renames that, so that `folder` is whole or absent, whoever else does the same. */
async function unpackInto(folder: string, suite: string, { packages, links = {} }: Packages): Promise<void> {
  const draft = await mkdtemp(`${folder}-unpacking-`);
  removeFolderAtExit(draft);
  try {
    const files = await aptDownload(join(draft, 'apt'), suite, packages);
    for (const file of files) await runTool('dpkg-deb', ['-x', file, join(draft, 'root')]);
    for (const [link, target] of Object.entries(links)) await symlink(target, join(draft, 'root', link));
    await rm(join(draft, 'apt'), { recursive: true });
    await writeFile(join(draft, 'done'), files.map((file) => `${basename(file)}\n`).join(''));
    await runTool('chmod', ['-R', 'u+rwX,go+rX,go-w', draft]);
    await publish(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function publish(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder);
  } catch {
    // It is there already: another run was faster, or somebody has since removed a part of it.
    if (await isComplete(folder)) return;
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  }
}

function isComplete(folder: string): Promise<boolean> {
  return access(join(folder, 'done')).then(
    () => true,
    () => false,
  );
}

/** The folders that packages put libraries into; the C library's own moved below usr in Debian 13. */
async function libraryFolders(root: string): Promise<string[]> {
  const folders: string[] = [];
  for (const parent of [join(root, 'lib'), join(root, 'usr/lib')]) {
    const names = await readdir(parent).catch(() => []);
    folders.push(...names.filter((name) => name.includes('-linux-gnu')).map((name) => join(parent, name)));
  }
  return folders;
}

async function loader(folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const name = (await readdir(folder)).find((file) => /^ld-linux.*\.so\.\d+$/.test(file));
    if (name !== undefined) return join(folder, name);
  }
  throw new Error(`the unpacked packages have no loader (ld-linux) in ${folders.join(' or ')}`);
}
