import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { endProcessAtExit, forgetProcess } from './watchdog.js';

const execute = promisify(execFile);

/**
 * Runs a tool of this machine to its end. Rejects with the first complaint that it printed, when it fails. Ends with
 * this process.
 */
export async function runTool(file: string, args: readonly string[]): Promise<void> {
  // In English, so that the complaint is found below.
  const env = { ...process.env, LC_ALL: 'C' };
  const running = execute(file, args, { env, cwd: '/', maxBuffer: 16 * 1024 * 1024 });
  const { pid } = running.child;
  if (pid !== undefined) endProcessAtExit(pid);
  try {
    await running;
  } catch (error) {
    throw new Error(`${file} failed: ${complaint(error)}`, { cause: error });
  } finally {
    if (pid !== undefined) forgetProcess(pid);
  }
}

function complaint(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const printed = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.split('\n') : [];
  const errors = printed.filter((line) => /^E:|error/i.test(line));
  return errors[0] ?? printed[0] ?? error.message;
}
