import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModuleKind, transpileModule } from 'typescript';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

/**
 * A process of its own that registers what it is sent, and then ends as the test wants. Its children write to its
 * standard output, which therefore closes once all of them are gone, and not before.
 */
const PARENT = `
import { spawn } from 'node:child_process';
import { endProcessAtExit, forgetProcess, removeFolderAtExit } from './watchdog.mjs';

const orders = {
  folder: (folder) => removeFolderAtExit(folder),
  start(script) {
    const { pid } = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'inherit', 'ignore'] });
    endProcessAtExit(pid);
    return pid;
  },
  forget: (pid) => forgetProcess(pid),
  end: () => process.exit(),
  crash: () => setImmediate(() => { throw new Error('as asked'); }),
};
process.on('message', ([order, what]) => process.send({ answer: orders[order](what) }));
`;

describe('the watchdog', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cachekit-watchdog-'));
    const source = await readFile('test/servers/watchdog.ts', 'utf8');
    const { outputText } = transpileModule(source, { compilerOptions: { module: ModuleKind.ESNext } });
    await writeFile(join(folder, 'watchdog.mjs'), outputText);
    await writeFile(join(folder, 'parent.mjs'), PARENT);
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([
    ['SIGKILL', (parent: ChildProcess) => parent.kill('SIGKILL')],
    ['SIGTERM', (parent: ChildProcess) => parent.kill('SIGTERM')],
    ['SIGINT', (parent: ChildProcess) => parent.kill('SIGINT')],
    ['SIGHUP', (parent: ChildProcess) => parent.kill('SIGHUP')],
    ['process.exit()', (parent: ChildProcess) => parent.send(['end'])],
    ['an uncaught exception', (parent: ChildProcess) => parent.send(['crash'])],
  ])('ends processes and removes folders after %s', async (_, end) => {
    const parent = startParent();
    const data = await mkdtemp(join(folder, 'data with blanks '));
    await writeFile(join(data, 'file'), '');
    await tell(parent, ['folder', data]);
    await tell(parent, ['start', 'exec sleep 600']);
    await tell(parent, ['start', 'exec sleep 600']);
    end(parent);
    await allGone(parent);
    await expect.poll(() => access(data).catch(String)).toContain('ENOENT');
  });

  test.each([
    ['is deaf to SIGTERM', "trap '' TERM; exec sleep 600"],
    ['is frozen', 'kill -STOP $$; exec sleep 600'],
  ])('ends a process that %s', async (_, script) => {
    const parent = startParent();
    await tell(parent, ['start', script]);
    parent.kill('SIGKILL');
    await allGone(parent);
  });

  test('leaves alone what it was told to forget', async () => {
    const parent = startParent();
    const pid = await tell(parent, ['start', 'exec sleep 600']);
    const data = await mkdtemp(join(folder, 'data-'));
    await tell(parent, ['folder', data]);
    await tell(parent, ['forget', pid]);
    parent.kill('SIGKILL');
    // It removes folders last, so it has ended by now what it ends.
    await expect.poll(() => access(data).catch(String)).toContain('ENOENT');
    expect(process.kill(Number(pid), 'SIGKILL')).toBe(true);
    await allGone(parent);
  });

  function startParent(): ChildProcess {
    const parent = fork(join(folder, 'parent.mjs'), { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    return parent;
  }
});

async function tell(parent: ChildProcess, order: readonly unknown[]): Promise<unknown> {
  const answer = once(parent, 'message');
  parent.send(order);
  const [{ answer: said }] = await answer;
  return said;
}

async function allGone(parent: ChildProcess): Promise<void> {
  parent.stdout?.resume();
  if (!parent.stdout?.closed) await once(parent, 'close');
}
