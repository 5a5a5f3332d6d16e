import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BENCH_FOLDER, PROJECT_FOLDER } from '../folders.js';

/** The installed versions of these packages, rivals or the project's own. */
export function installedVersions(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, versionIn(packageFolder(name))]));
}

/** Where a package is installed: among the rivals, or in the project. */
export function packageFolder(name: string): string {
  const places = [BENCH_FOLDER, PROJECT_FOLDER].map((folder) => join(folder, 'node_modules', name));
  const found = places.find((folder) => isPackage(folder));
  if (found === undefined) throw new Error(`${name} is not installed.`);
  return found;
}

function isPackage(folder: string): boolean {
  try {
    return versionIn(folder) !== '';
  } catch {
    return false;
  }
}

/** The version of the package in this folder. */
export function versionIn(folder: string): string {
  const { version }: { version: string } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return version;
}
