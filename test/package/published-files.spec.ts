import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const execute = promisify(execFile);

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly peerDependenciesMeta: Readonly<Record<string, unknown>>;
}

const manifest: Manifest = JSON.parse(await readFile('package.json', 'utf8'));

/** What users import, and its file. */
const entries = Object.entries(manifest.exports).flatMap(([path, target]) =>
  typeof target === 'string'
    ? []
    : [{ name: posix.join(manifest.name, path), file: posix.normalize(target.default) }],
);

/** A published file and all those that it imports, each once. */
async function filesOf(file: string, known: readonly string[] = []): Promise<readonly string[]> {
  if (known.includes(file)) return known;
  const text = await readFile(file, 'utf8');
  let files = [...known, file];
  for (const [, specifier = ''] of text.matchAll(/^(?:import|export) [^'"]*["'](\.[^"']+)["']/gm)) {
    files = [...(await filesOf(posix.join(posix.dirname(file), specifier), files))];
  }
  return files;
}

describe('What `npm run build` left in dist', () => {
  it.each(entries)('loads three files for $name', async ({ file }) => {
    const files = await filesOf(file);

    expect(files.toSorted()).toEqual([file, 'dist/lib/rolldown-runtime.js', 'dist/lib/shared.js'].toSorted());
  });

  it('has one CacheBackend, which the backends of all entry points extend', async () => {
    const program = `
      import { CacheBackend } from ${JSON.stringify(manifest.name)};
      const names = ${JSON.stringify(entries.map(({ name }) => name))};
      const modules = await Promise.all(names.map((name) => import(name)));
      const backends = modules.flatMap(Object.values).filter((one) => one.prototype instanceof CacheBackend);
      console.log(backends.map(({ name }) => name).join());`;
    const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', program]);

    expect(stdout.trim().split(',')).toEqual([
      'InMemoryBackend',
      'TieredBackend',
      'RedisBackend',
      'PostgresBackend',
      'MemcachedBackend',
      'MongoDBBackend',
      'FirestoreBackend',
      'DynamoDBBackend',
    ]);
  });

  it('imports each client package where its backend first needs it, and nowhere else', async () => {
    const files = new Set((await Promise.all(entries.map(({ file }) => filesOf(file)))).flat());
    const texts = await Promise.all([...files].map((file) => readFile(file, 'utf8')));
    const imported = Object.keys(manifest.peerDependenciesMeta).map((client) => ({
      client,
      early: texts.filter((text) => new RegExp(`^(import|export) .*["']${client}["']`, 'm').test(text))
        .length,
      late: texts.filter((text) => text.includes(`await import("${client}")`)).length,
    }));

    expect(imported).toEqual(imported.map(({ client }) => ({ client, early: 0, late: 1 })));
  });
});
