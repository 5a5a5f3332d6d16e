import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Fact } from './servers/tested-against.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const REDIS: Fact = { need: 'redis', server: 'Redis 7.0.15', foundBy: 'PATH', readyMs: 12.4 };
const NO_REDIS: Fact = { need: 'redis', missing: ['PATH: no redis-server', 'Docker: no engine'] };

describe('the end of a test run', () => {
  let project: string;
  beforeEach(async () => {
    project = await mkdtemp(join(tmpdir(), 'cachekit-project-'));
    await symlink(resolve('node_modules'), join(project, 'node_modules'));
  });
  afterEach(() => rm(project, { recursive: true }));

  test('counts the tests in the last line, and succeeds when none failed', async () => {
    await spec('a', `test('a', () => {}); test('b', () => {}); test.skip('c', () => {}); test.todo('d');`);
    const { lastLine, exitCode } = await run([REDIS]);
    expect(lastLine).toBe('2 passed, 0 failed, 2 skipped');
    expect(exitCode).toBe(0);
  });

  test('shows what was tested against what, and what that could not show', async () => {
    await spec('a', `describeOn('redis', 'a', () => test('b', () => {}));`);
    const { output } = await run([REDIS, { need: 'redis', notShown: 'how it ages' }]);
    expect(output).toContain(
      [
        'backend  tested against  found by  ready ms',
        'redis    Redis 7.0.15    PATH      12',
        '    not shown: how it ages',
        '',
        '1 passed, 0 failed, 0 skipped',
      ].join('\n'),
    );
  });

  test('counts whatever breaks as failed, in a test or outside of one', async () => {
    await spec('failing-test', `test('a', () => { throw new Error('no'); });`);
    await spec('throws-at-import', `throw new Error('no');`);
    await spec('syntax-error', `test('a', () => {`);
    await spec('no-tests', ``);
    await spec('failing-hook', `afterAll(() => { throw new Error('no'); }); test('a', () => {});`);
    await spec('failing-group', `describe('a', () => { throw new Error('no'); });`);
    await spec('unhandled', `test('a', () => void Promise.reject(new Error('no')));`);
    const { lastLine, exitCode } = await run([REDIS]);
    expect(lastLine).toBe('2 passed, 7 failed, 0 skipped');
    expect(exitCode).toBe(1);
  });

  test('counts the tests of all projects, whichever of them has the servers', async () => {
    await spec('a', `test('a', () => {}); describeOn('redis', 'b', () => test('b', () => {}));`);
    await spec('b', `test('a', () => { throw new Error('no'); });`);
    const projects = [
      { test: { name: 'one', include: ['a.spec.ts'], globalSetup: 'setup.ts' } },
      { test: { name: 'other', include: ['b.spec.ts'] } },
    ];
    const { output, exitCode } = await run([REDIS], { config: { projects } });
    expect(output).toMatch(/^redis +Redis 7.0.15 +PATH +12\n\n2 passed, 1 failed, 0 skipped\n$/m);
    expect(exitCode).toBe(1);
  });

  test.each([
    ['there is no spec', undefined],
    ['every test is skipped', `test.skip('a', () => {});`],
  ])('fails when %s', async (_, source) => {
    if (source !== undefined) await spec('a', source);
    const { lastLine, exitCode } = await run([REDIS]);
    expect(lastLine).toMatch(/^0 passed, 1 failed, \d skipped$/);
    expect(exitCode).toBe(1);
  });

  test('fails when the global setup does', async () => {
    await spec('a', `test('a', () => {});`);
    const { lastLine, exitCode } = await run([REDIS], { setup: `throw new Error('no');` });
    expect(lastLine).toBe('0 passed, 1 failed, 0 skipped');
    expect(exitCode).toBe(1);
  });

  test('names a server that is missing with every reason, and skips what needs it', async () => {
    await spec(
      'a',
      `test('a', () => {}); describeOn('redis', 'b', () => { throw new Error('must not run'); });`,
    );
    const { output, lastLine, exitCode } = await run([NO_REDIS]);
    expect(output).toMatch(
      /^redis +MISSING: NOT TESTED\n +- PATH: no redis-server\n +- Docker: no engine\n$/m,
    );
    expect(lastLine).toBe('1 passed, 0 failed, 1 skipped');
    expect(exitCode).toBe(0);
  });

  test.each([{ CI: 'true' }, { CACHEKIT_REQUIRE_ALL: '1' }])(
    'fails for a missing server with %o',
    async (env) => {
      await spec('a', `test('a', () => {});`);
      const unused = await run([NO_REDIS], { env });
      expect([unused.lastLine, unused.exitCode]).toEqual(['1 passed, 1 failed, 0 skipped', 1]);
      await spec('b', `describeOn('redis', 'b', () => { throw new Error('must not run'); });`);
      const used = await run([NO_REDIS], { env });
      expect([used.lastLine, used.exitCode]).toEqual(['1 passed, 1 failed, 0 skipped', 1]);
      expect(used.output).toContain(
        'needs redis, which is missing (PATH: no redis-server; Docker: no engine)',
      );
    },
  );

  function spec(name: string, source: string): Promise<void> {
    const imports = `import { afterAll, describe, test } from 'vitest';
      import { describeOn } from '${resolve('test/servers/describe-on.ts')}';`;
    return writeFile(join(project, `${name}.spec.ts`), `${imports}\n${source}`);
  }

  /** Runs vitest on the project with a global setup that knows of `facts`, and then does what `setup` says. */
  async function run(facts: readonly Fact[], options: Options = {}): Promise<Ending> {
    const { env = {}, setup = '', config = { globalSetup: 'setup.ts' } } = options;
    await writeFile(join(project, 'vitest.config.ts'), configFile(config));
    await writeFile(join(project, 'setup.ts'), setUp(join(project, 'facts'), facts, setup));
    const args = [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', project];
    // Nothing of the vitest around this one, and nothing of CI but what the test says.
    const vitest = spawn(process.execPath, args, {
      cwd: project,
      env: { PATH: process.env['PATH'], ...env },
    });
    const [output, [exitCode]] = await Promise.all([text(vitest.stdout), once(vitest, 'close')]);
    return { output, lastLine: output.trimEnd().split('\n').at(-1) ?? '', exitCode };
  }
});

interface Ending {
  readonly output: string;
  readonly lastLine: string;
  readonly exitCode: unknown;
}

interface Options {
  readonly env?: Readonly<Record<string, string>>;
  /** More code for the global setup. */
  readonly setup?: string;
  /** What Vitest is told beside the reporters. Default: one project, with the global setup. */
  readonly config?: object;
}

function configFile(config: object): string {
  return `
    import { TestedAgainstReporter } from '${resolve('test/tested-against.reporter.ts')}';
    const reporters = ['default', new TestedAgainstReporter()];
    export default { test: { ...${JSON.stringify(config)}, reporters } };
  `;
}

function setUp(file: string, facts: readonly Fact[], then: string): string {
  return `
    import { provideFacts } from '${resolve('test/servers/tested-against.ts')}';
    export default ({ provide }) => {
      provideFacts(provide, '${file}', ${JSON.stringify(facts)});
      ${then}
    };
  `;
}
