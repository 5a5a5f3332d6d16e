import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './run-tool.js';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DEBIANS_MIRROR = 'http://deb.debian.org/debian';

/**
 * Downloads packages of Debian's archive with all they need, checked against Debian's keys, and answers the files.
 * Nothing is installed, the machine's own apt is left as it is, and root is not needed.
 *
 * @param folder an empty folder, by its absolute path, for the files and for what apt notes down
 * @param suite the release to take them from, as a code name
 */
export async function aptDownload(
  folder: string,
  suite: string,
  packages: readonly string[],
): Promise<string[]> {
  const config = join(folder, 'apt.conf');
  const archives = join(folder, 'cache/archives');
  await mkdir(join(folder, 'lists/partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  await writeFile(join(folder, 'status'), '');
  await writeFile(
    join(folder, 'sources.list'),
    `deb [signed-by=${KEYRING}] ${await mirror()} ${suite} main\n`,
  );
  await writeFile(config, configuration(folder));
  const options = ['-qq', '-y', '-c', config];
  await runTool('apt-get', [...options, 'update']);
  await runTool('apt-get', [
    ...options,
    '--no-install-recommends',
    '--download-only',
    'install',
    ...packages,
  ]);
  const files = await readdir(archives);
  return files.filter((file) => file.endsWith('.deb')).map((file) => join(archives, file));
}

/**
 * Read after the machine's own configuration, whose proxies are kept and whose hooks are not: they tidy up the
 * machine's folders and talk to its services. With an empty list of installed packages apt fetches every dependency.
 */
function configuration(folder: string): string {
  return `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
APT::Update::Error-Mode "any";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "2";
Debug::NoLocking "true";
Dir::Cache "${folder}/cache";
Dir::Etc::SourceList "${folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Log "${folder}";
Dir::State::Lists "${folder}/lists";
Dir::State::Status "${folder}/status";
Dir::State::Extended_States "${folder}/extended_states";
`;
}

/** This machine's own mirror, which may be the only one that it reaches, else Debian's. */
async function mirror(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const lists = names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(folder, name));
  for (const list of ['/etc/apt/sources.list', ...lists]) {
    const text = await readFile(list, 'utf8').catch(() => '');
    const uri = /^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+\/debian\/?)(?=\s|$)/m.exec(text)?.[1];
    if (uri !== undefined) return uri;
  }
  return DEBIANS_MIRROR;
}
