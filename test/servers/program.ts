import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { serverUser } from './server-user.js';

const execute = promisify(execFile);

/** How to run a server's program on this machine. Plain data, so that the global setup can hand it to the specs. */
export interface Program {
  /** Where it was found, for the closing table. */
  readonly foundBy: string;
  /** The file to run: the program itself, or the loader or the Docker client that runs it. */
  readonly file: string;
  /** The arguments before the program's own. */
  readonly args: readonly string[];
  /** The Docker image to run it in; absent means directly on this machine. */
  readonly image?: string;
}

/** The container that a program runs in, where it has an image: its name, and the folder it shares with this machine. */
export interface Container {
  readonly name: string;
  readonly folder: string;
}

/** The file and all the arguments that start `program` with the arguments `args`. */
export function commandLine(
  program: Program,
  args: readonly string[],
  container?: Container,
): { file: string; args: string[] } {
  if (!program.image) return { file: program.file, args: [...program.args, ...args] };

  const user = serverUser() ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  // On the host's network a port is the same inside and outside, which Redis Cluster and Sentinel need.
  const options = ['--rm', '--network=host', `--user=${user.uid}:${user.gid}`];
  if (container) options.push(`--name=${container.name}`, `--volume=${container.folder}:${container.folder}`);
  return { file: program.file, args: ['run', ...options, program.image, ...program.args, ...args] };
}

/**
 * Runs `program` to its end and answers what it prints, for instance its version. Rejects when it can't be run,
 * fails, or takes longer than ten seconds (three minutes for an image, which may have to be downloaded).
 */
export async function outputOf(program: Program, args: readonly string[]): Promise<string> {
  const command = commandLine(program, args);
  const timeoutMs = program.image ? 180_000 : 10_000;
  const user = program.image ? undefined : serverUser();
  const { stdout } = await execute(command.file, command.args, { ...user, cwd: '/', timeout: timeoutMs });
  return stdout;
}
