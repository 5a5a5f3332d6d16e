import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Program } from './program.js';

const execute = promisify(execFile);

/** An engine that takes longer to say hello is not one to run tests on, and must not hold up the other places. */
const HELLO_TIMEOUT_MS = 2_000;

/**
 * The program `name` inside the Docker image `image`, run on the host's network. Rejects unless a Docker engine
 * answers within two seconds: the client alone, which many machines have, is not enough.
 */
export async function dockerImage(image: string, name: string): Promise<Program> {
  try {
    await execute('docker', ['info'], { timeout: HELLO_TIMEOUT_MS, killSignal: 'SIGKILL' });
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = isAbsent ? 'no docker' : `no engine answers "docker info" within ${HELLO_TIMEOUT_MS} ms`;
    throw new Error(reason, { cause: error });
  }
  return { foundBy: `Docker ${image}`, file: 'docker', args: [name], image };
}
