import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const LIB = join(process.cwd(), 'lib');
const CONTRACT = 'backends/cache-backend.ts';
/** The contract and what it names. */
const CONTRACTS = [CONTRACT, 'backends/message-bus.ts'];
const IN_MEMORY = 'backends/in-memory.backend.ts';

interface Import {
  readonly from: string;
  /** A file of lib, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
  readonly lazy: boolean;
}

const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'));
const imports = files.flatMap(importsOf);
const internal = imports.filter(({ to }) => files.includes(to));
const peers = Object.keys(readPackageJson().peerDependenciesMeta);

function importsOf(from: string): Import[] {
  const source = ts.createSourceFile(
    from,
    readFileSync(join(LIB, from), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean, lazy: boolean): void => {
    if (specifier && ts.isStringLiteralLike(specifier)) {
      found.push({ from, to: resolve(from, specifier.text), typeOnly, lazy });
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword, false);
    if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly, false);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true, false);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false, true);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts');
}

function readPackageJson(): {
  exports: Record<string, unknown>;
  peerDependenciesMeta: Record<string, unknown>;
} {
  return JSON.parse(readFileSync('package.json', 'utf8'));
}

const breaking = (rule: (one: Import) => boolean): string[] =>
  internal.filter(rule).map(({ from, to }) => `${from} imports ${to}`);

const isConcrete = (path: string): boolean => /^backends\/.*\.backend\.ts$/.test(path);
const folder = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '');

describe('In lib,', () => {
  it('there are files, and imports between them', () => {
    expect(files).toContain(CONTRACT);
    expect(internal.length).toBeGreaterThan(50);
  });

  it('the contract of the backends imports nothing else', () => {
    const outgoing = imports.filter(({ from }) => CONTRACTS.includes(from));
    expect(outgoing.filter(({ to }) => !CONTRACTS.includes(to))).toEqual([]);
  });

  it('core imports the contract and core', () => {
    expect(
      breaking(({ from, to }) => folder(from) === 'core' && !CONTRACTS.includes(to) && folder(to) !== 'core'),
    ).toEqual([]);
  });

  it('backends import core and backends', () => {
    const allowed = ['core', 'backends'];
    expect(breaking(({ from, to }) => folder(from) === 'backends' && !allowed.includes(folder(to)))).toEqual(
      [],
    );
  });

  it('http imports the contract, core and http', () => {
    const isAllowed = (to: string): boolean =>
      CONTRACTS.includes(to) || folder(to) === 'core' || folder(to) === 'http';
    expect(breaking(({ from, to }) => folder(from) === 'http' && !isAllowed(to))).toEqual([]);
  });

  it('methods imports the contract, core, http and methods', () => {
    const allowed = ['core', 'http', 'methods'];
    const isAllowed = (to: string): boolean => CONTRACTS.includes(to) || allowed.includes(folder(to));
    expect(breaking(({ from, to }) => folder(from) === 'methods' && !isAllowed(to))).toEqual([]);
  });

  it('only the index imports the decorators, which put http and methods together', () => {
    const allowed = ['core', 'http', 'methods', 'decorators'];
    expect(
      breaking(({ from, to }) => folder(from) === 'decorators' && !allowed.includes(folder(to))),
    ).toEqual([]);
    const mayImport = (from: string): boolean => folder(from) === 'decorators' || from === 'index.ts';
    expect(breaking(({ from, to }) => folder(to) === 'decorators' && !mayImport(from))).toEqual([]);
  });

  it('health imports the contract, core and health', () => {
    const isAllowed = (to: string): boolean =>
      CONTRACTS.includes(to) || folder(to) === 'core' || folder(to) === 'health';
    expect(breaking(({ from, to }) => folder(from) === 'health' && !isAllowed(to))).toEqual([]);
  });

  it('the conformance suite imports the contract, core and itself', () => {
    const isAllowed = (to: string): boolean =>
      CONTRACTS.includes(to) || folder(to) === 'core' || folder(to) === 'testing';
    expect(breaking(({ from, to }) => folder(from) === 'testing' && !isAllowed(to))).toEqual([]);
  });

  it('nothing imports the module but the index, nor its options but the two', () => {
    expect(breaking(({ from, to }) => to === 'cachekit.module.ts' && from !== 'index.ts')).toEqual([]);
    const mayImportOptions = ['index.ts', 'cachekit.module.ts'];
    expect(
      breaking(({ from, to }) => to === 'cachekit.options.ts' && !mayImportOptions.includes(from)),
    ).toEqual([]);
  });

  it('nothing imports a concrete backend, in-memory excepted', () => {
    const mayUseInMemory = ['index.ts', 'cachekit.module.ts'];
    const isBroken = ({ from, to }: Import): boolean =>
      isConcrete(to) && !(to === IN_MEMORY && mayUseInMemory.includes(from));
    expect(breaking(isBroken)).toEqual([]);
  });

  it('a client package is imported lazily, or for its types, below backends only', () => {
    const clients = imports.filter(({ to }) => peers.includes(to));
    expect(clients.length).toBeGreaterThan(0);
    expect(clients.filter(({ typeOnly, lazy }) => !typeOnly && !lazy)).toEqual([]);
    expect(clients.filter(({ from }) => folder(from) !== 'backends')).toEqual([]);
  });

  it('no file is imported in a circle', () => {
    const values = internal.filter(({ typeOnly }) => !typeOnly);
    const targets = (from: string): string[] => values.filter((one) => one.from === from).map(({ to }) => to);
    const circles: string[][] = [];
    const walk = (path: readonly string[]): void => {
      for (const to of targets(path.at(-1) ?? '')) {
        if (to === path[0]) circles.push([...path, to]);
        else if (!path.includes(to) && path.length < 8) walk([...path, to]);
      }
    };
    for (const file of files) walk([file]);
    expect(circles).toEqual([]);
  });

  it('every concrete backend but in-memory has its own entry point, and every entry point its file', () => {
    const names = files
      .filter((path) => isConcrete(path) && path !== IN_MEMORY)
      .map((path) => relative('backends', path));
    const entries = Object.keys(readPackageJson().exports);
    expect(entries).toEqual(
      expect.arrayContaining(names.map((name) => `./${name.replace('.backend.ts', '')}`)),
    );
  });
});
