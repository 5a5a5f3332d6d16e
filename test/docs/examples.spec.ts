import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import { describeOn } from '../servers/describe-on.js';

const execute = promisify(execFile);

/** A program in a guide, and the text below it that it is said to print. */
const EXAMPLE = /```js\n([^]*?)```\n\n```text\n([^]*?)```/g;

/** Below the package's own folder, where its name means itself. `npm test` has built it by now. */
const FOLDER = join('dist', 'docs-examples');

const guides = (await readdir('docs')).filter((name) => name.endsWith('.md'));

/** Where the examples expect a Redis, as a reader's own machine may have one. */
const USUAL_REDIS = 'redis://localhost:6379';

describe('The guides', () => {
  it('have examples that can be run', async () => {
    const counts = await Promise.all(guides.map(async (guide) => (await examplesIn(guide)).length));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(3);
  });
});

describeOn('redis', 'The guides, with a Redis', () => {
  it.each(guides)('%s: what its examples print is what stands below them', async (guide) => {
    await mkdir(FOLDER, { recursive: true });
    for (const [index, { program, printed }] of (await examplesIn(guide)).entries()) {
      const file = join(FOLDER, `${guide}-${index}.mjs`);
      await writeFile(file, program.replaceAll(USUAL_REDIS, inject('redisUrl')));
      const { stdout } = await execute(process.execPath, [file]);
      expect(stdout).toBe(printed);
    }
  });
});

async function examplesIn(guide: string): Promise<{ program: string; printed: string }[]> {
  const text = await readFile(join('docs', guide), 'utf8');
  return [...text.matchAll(EXAMPLE)].map(([, program = '', printed = '']) => ({ program, printed }));
}
