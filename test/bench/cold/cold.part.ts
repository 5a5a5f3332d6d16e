import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PROJECT_FOLDER } from '../folders.js';
import { digits, megabytes, plusMinus } from '../measure/format.js';
import { interleave } from '../measure/interleave.js';
import { Samples } from '../measure/samples.js';
import { installedVersions, packageFolder } from '../measure/versions.js';
import type { Findings, Goal, Part, Section } from '../part.js';
import type { Imported } from './import.process.js';

const execute = promisify(execFile);

const ROUNDS = 7;
const OURS = 'nestjs-cachekit';
const RIVAL = '@nestjs/cache-manager';
const SUBPATHS = ['redis', 'postgres', 'memcached', 'mongodb', 'firestore', 'dynamodb'].map(
  (name) => `${OURS}/${name}`,
);
const IMPORTED = [OURS, ...SUBPATHS, `${OURS}/testing`, RIVAL];

/** What nobody must pay for who did not ask for it. */
const CLIENTS = [
  'ioredis',
  'typeorm',
  'pg',
  'memjs',
  'mongodb',
  '@google-cloud/firestore',
  '@aws-sdk/client-dynamodb',
];

/** What the package costs before it does anything. */
export const COLD: Part = { name: 'cold', measure };

async function measure(): Promise<Findings> {
  const times = new Samples();
  const memory = new Samples();
  const modules = await addedModules();
  await interleave({
    scenarios: ['import'],
    contestants: IMPORTED,
    rounds: ROUNDS,
    measure: async (scenario, name, isWarmUp) => {
      const { ms, bytes } = await importIn(name);
      if (isWarmUp) return;
      times.add(scenario, name, ms);
      memory.add(scenario, name, bytes);
    },
  });
  return {
    sections: [importSection(times, memory, modules), await sizeSection()],
    goals: goals(times, modules),
    versions: installedVersions(['@nestjs/core', RIVAL]),
  };
}

async function importIn(name: string): Promise<Imported> {
  const file = join(import.meta.dirname, 'import.process.js');
  const { stdout } = await execute(process.execPath, ['--expose-gc', file, name]);
  return JSON.parse(stdout) as Imported;
}

/** The modules that each import loads, without those that Nest has loaded before. */
async function addedModules(): Promise<Map<string, readonly string[]>> {
  const nest = await modulesLoadedBy('@nestjs/core');
  const added = new Map<string, readonly string[]>();
  for (const name of IMPORTED) {
    const modules = await modulesLoadedBy(name);
    added.set(
      name,
      modules.filter((file) => !nest.includes(file)),
    );
  }
  return added;
}

/** The files of all modules in a process that has imported `name`, Nest's among them. */
async function modulesLoadedBy(name: string): Promise<string[]> {
  const hook = join(import.meta.dirname, 'log-modules.js');
  const file = join(import.meta.dirname, 'import.process.js');
  const { stderr } = await execute(process.execPath, ['--import', hook, file, name]);
  const files = stderr.split('\n').map((line) => (line.startsWith('file:') ? fileURLToPath(line) : line));
  return [...new Set(files)].filter((line) => isAbsolute(line));
}

/** The client packages of which one of these modules is a part, in words. */
function clientsAmong(modules: readonly string[] = []): string {
  const isLoaded = (client: string): boolean =>
    modules.some((file) => file.includes(`/node_modules/${client}/`));
  return CLIENTS.filter(isLoaded).join(', ') || 'none';
}

function importSection(
  times: Samples,
  memory: Samples,
  modules: ReadonlyMap<string, readonly string[]>,
): Section {
  return {
    title: 'Cold start',
    text:
      'What an import adds in a process that has loaded @nestjs/common and @nestjs/core already; each import has a ' +
      'process of its own. *Modules* are the files that Node loads for it, *memory* is what the heap holds more after ' +
      'it. *Clients* are the client packages among them: a backend loads its own when it is first used.',
    table: {
      headings: ['import', 'ms', 'spread', 'modules', 'memory', 'clients'],
      rows: IMPORTED.map((name) => [
        name,
        digits(times.median('import', name)),
        plusMinus(times.spread('import', name)),
        `${modules.get(name)?.length ?? 0}`,
        megabytes(memory.median('import', name)),
        clientsAmong(modules.get(name)),
      ]),
    },
  };
}

async function sizeSection(): Promise<Section> {
  const packed = await packedSize();
  const own = ['devalue', 'lru-cache'];
  const rivals = [RIVAL, 'cache-manager', 'keyv'];
  const row = (name: string, dependencies: ReadonlyMap<string, number>, bytes: number): string[] => [
    name,
    megabytes(bytes),
    [...dependencies].map(([dependency, size]) => `${dependency} ${megabytes(size)}`).join(', '),
    megabytes([...dependencies.values()].reduce((sum, size) => sum + size, bytes)),
  ];
  const rivalTree = dependenciesOf(rivals);
  const rivalBytes = rivalTree.get(RIVAL) ?? 0;
  rivalTree.delete(RIVAL);
  return {
    title: 'Install size',
    text: 'Unpacked, without Nest and without the client packages, which the app chooses.',
    table: {
      headings: ['package', 'itself', 'what it needs', 'together'],
      rows: [row(OURS, dependenciesOf(own), packed), row(RIVAL, rivalTree, rivalBytes)],
    },
  };
}

async function packedSize(): Promise<number> {
  const { stdout } = await execute('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: PROJECT_FOLDER,
  });
  const packed: { unpackedSize: number }[] | Record<string, { unpackedSize: number }> = JSON.parse(stdout);
  return Object.values(packed)[0]?.unpackedSize ?? Number.NaN;
}

/** These packages and all that they depend on, with the size of each. */
function dependenciesOf(names: readonly string[]): Map<string, number> {
  const sizes = new Map<string, number>();
  const visit = (name: string): void => {
    if (sizes.has(name)) return;
    const folder = packageFolder(name);
    sizes.set(name, sizeOf(folder));
    const manifest: { dependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    );
    Object.keys(manifest.dependencies ?? {}).forEach(visit);
  };
  names.forEach(visit);
  return sizes;
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((file) => file.isFile())
    .reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
}

function goals(times: Samples, modules: ReadonlyMap<string, readonly string[]>): Goal[] {
  const ms = times.median('import', OURS);
  const clients = clientsAmong(modules.get(OURS));
  return [
    {
      what: 'import of the root entry, above Nest',
      goal: '< 30 ms',
      measured: `${digits(ms)} ms`,
      isMet: ms < 30,
    },
    {
      what: 'client packages loaded by the root entry',
      goal: 'none',
      measured: clients,
      isMet: clients === 'none',
    },
  ];
}
