import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { describeOn } from './describe-on.js';
import { startFirestore } from './firestore.server.js';
import type { ServerProcess } from './server-process.js';
import { stopWhileFrozen } from './stop-while-frozen.js';

describeOn('firestore', 'the Firestore emulator that all specs share', () => {
  test('answers', async () => {
    expect(await answerOf(inject('firestoreHost'))).toBe('Ok');
  });
});

describeOn('firestore process', "a Firestore emulator of one's own", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startFirestore();
  });
  afterAll(() => server.stop());

  test('refuses connections once it is killed, and answers on the same port after a restart', async () => {
    await server.kill();
    await expect(answerOf(server.url)).rejects.toThrow();
    await server.restart();
    expect(await answerOf(server.url)).toBe('Ok');
  });

  const isVisible = process.platform === 'linux' && inject('firestoreProgram').image === undefined;
  test.runIf(isVisible)('does not run as root, and has a bounded heap', async () => {
    const process = await processWith(`--port\0${server.port}\0`);
    expect(await readFile(`${process}/status`, 'utf8')).toMatch(/^Uid:(\s+[1-9]\d*){4}$/m);
    expect(await readFile(`${process}/cmdline`, 'utf8')).toContain('-Xmx');
  });

  test('leaves no process and no data when it is stopped, even while it is frozen', async () => {
    const another = await startFirestore();
    await stopWhileFrozen(another);
    await expect(answerOf(another.url)).rejects.toThrow();
  });
});

async function answerOf(host: string): Promise<string> {
  const answer = await fetch(`http://${host}/`);
  return (await answer.text()).trim();
}

/** The folder in /proc of the process that has such arguments. */
async function processWith(args: string): Promise<string> {
  for (const id of await readdir('/proc')) {
    const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(args)) return `/proc/${id}`;
  }
  throw new Error(`No process has the arguments ${args}.`);
}
