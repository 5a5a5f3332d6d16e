import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppProcess } from './app-process.js';
import { FreshApp } from './fresh-app.js';
import { packPackage } from './packed-package.js';
import { TypeScripts } from './typescript.js';

const LIMIT_MS = 300_000;

interface NestNewPackage {
  readonly jest: { readonly transformIgnorePatterns: readonly string[] };
}

/** What Jest prints at the end. */
const ALL_PASSED = /^Tests: +(\d+) passed, \1 total$/m;

const typescripts = new TypeScripts();
const nestNew = new FreshApp('Nest 11 app as `nest new` makes it (CommonJS, Jest)', ['nest-11-commonjs']);
const apps = [
  new FreshApp('Nest 12 app', ['esm', 'nest-12-esm']),
  new FreshApp('Nest 11 app with ES modules', ['esm', 'nest-11-esm']),
  nestNew,
];

beforeAll(async () => {
  const tarball = await packPackage();
  await Promise.all([typescripts.install(), ...apps.map((app) => app.install(tarball))]);
}, LIMIT_MS);

describe.each(apps)('in a fresh $name', { timeout: LIMIT_MS }, (app) => {
  let complaints: Record<string, string>;
  let running: AppProcess;
  let url: string;

  beforeAll(async () => {
    complaints = await typescripts.compile(app, 'tsconfig.strict.json');
    running = app.node('dist/5.9/main.js');
    url = await running.untilPrinted(/http:\S+/);
  }, LIMIT_MS);

  afterAll(() => running.terminate(), LIMIT_MS);

  const get = (path: string) => fetch(url + path);
  const put = (path: string, body: object = {}) =>
    fetch(url + path, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  it('type-checks under TypeScript 5.9, 6.0 and 7.0 with skipLibCheck off and no client package', () => {
    expect(complaints).toEqual({ '5.9': '', '6.0': '', '7.0': '' });
  });

  it('runs the handler once for two requests', async () => {
    const first = await get('/notes/once');
    const second = await get('/notes/once');

    expect(first.headers.get('cache-status')).toBe('cachekit; fwd=uri-miss; stored');
    expect(second.headers.get('cache-status')).toMatch(/^cachekit; hit; ttl=\d+$/);
    expect(await first.json()).toEqual({ id: 'once', runs: 1 });
    expect(await second.json()).toEqual({ id: 'once', runs: 1 });
  });

  it('runs the handler again after an evicting request', async () => {
    await get('/notes/evicted');
    await put('/notes/evicted');
    const after = await get('/notes/evicted');

    expect(after.headers.get('cache-status')).toMatch(/fwd=uri-miss/);
    expect(await after.json()).toEqual({ id: 'evicted', runs: 2 });
  });

  it('answers what CacheService stored', async () => {
    const before = await get('/notes/1/draft');
    await put('/notes/1/draft', { text: 'é' });
    const after = await get('/notes/1/draft');

    expect(await before.json()).toEqual({ missing: '1' });
    expect(await after.json()).toEqual({ text: 'é' });
  });

  it('leaves nothing open: the process ends by itself after app.close()', async () => {
    const other = app.node('dist/5.9/main.js');
    const address = await other.untilPrinted(/http:\S+/);
    await fetch(`${address}/notes/1`);
    const { exit } = await other.terminate();

    expect(exit).toBe(0);
  });

  it('does not start without the client package of its backend, and says what to install', async () => {
    const { exit, printed } = await app.node('missing-client.js').ended;

    expect(exit).toBe(1);
    expect(printed).toContain('MissingClientError');
    expect(printed).toContain('npm install ioredis');
    expect(printed).not.toContain('Listening');
  });
});

describe('Jest in a Nest 11 app as `nest new` makes it', { timeout: LIMIT_MS }, () => {
  const program = 'node_modules/jest/bin/jest.js';

  it('runs specs with one line more in its settings', async () => {
    const { exit, printed } = await nestNew.node(program).ended;

    expect(printed).toMatch(ALL_PASSED);
    expect(exit).toBe(0);
  });

  it('runs specs with the tsconfig of the first Nest 11, too: CommonJS, moduleResolution node10', async () => {
    const tsJest = ['ts-jest', { tsconfig: '<rootDir>/../tsconfig.node10.json' }];
    const transform = JSON.stringify({ '^.+\\.(t|j)s$': tsJest });
    const { exit, printed } = await nestNew.node(program, 'notes', 'missing', `--transform=${transform}`)
      .ended;

    expect(printed).toMatch(ALL_PASSED);
    expect(exit).toBe(0);
  });

  it('has the very line that the README shows', async () => {
    const { jest } = JSON.parse(await readFile(nestNew.path('package.json'), 'utf8')) as NestNewPackage;
    const line = `"transformIgnorePatterns": ${JSON.stringify(jest.transformIgnorePatterns)}`;

    expect(await readFile('README.md', 'utf8')).toContain(line);
  });
});
