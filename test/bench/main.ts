/** `npm run bench`: lets the compiled benchmark find the rivals' packages, then runs it. */
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BENCH_FOLDER } from './folders.js';

// Rivals are installed beside the sources, and Node looks for packages above the compiled files.
const link = join(import.meta.dirname, 'node_modules');
rmSync(link, { force: true });
symlinkSync(join(BENCH_FOLDER, 'node_modules'), link, 'junction');

const { run } = await import('./run.js');
await run(process.argv.slice(2));
