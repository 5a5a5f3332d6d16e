import type { TestProject } from 'vitest/node';
import { removeFolderAtExit } from './watchdog.js';

/** Vitest removes the folder of a project only when it ends in order. Vitest calls this once for each of them. */
export default function removeVitestFolder({ tmpDir }: TestProject): void {
  removeFolderAtExit(tmpDir);
}
