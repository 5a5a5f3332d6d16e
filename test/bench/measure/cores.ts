import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** A command that runs a program, on one core where this machine can say so. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

/** Whether processes can be kept on a core of their own: there are two, and there is taskset. */
export const CAN_PIN = availableParallelism() > 1 && hasTaskset();

/** The same command, kept on the core with this number; unchanged where that can't be done. */
export function onCore(core: number, { file, args }: Command): Command {
  if (!CAN_PIN) return { file, args };
  return { file: 'taskset', args: ['--cpu-list', String(core), file, ...args] };
}

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
