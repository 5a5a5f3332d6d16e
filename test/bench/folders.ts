import { join } from 'node:path';

/** The project, seen from the compiled files in dist/test/bench. */
export const PROJECT_FOLDER = join(import.meta.dirname, '../../..');

/** The sources of the benchmark, where its rivals are installed. */
export const BENCH_FOLDER = join(PROJECT_FOLDER, 'test/bench');
