import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { onCore } from './cores.js';

/** How a contestant's process is started. */
export interface ProcessOptions {
  /** Options of Node beside `--expose-gc`. Default: none. */
  readonly nodeOptions?: readonly string[];
  /** The core to keep it on. Default: any. */
  readonly core?: number;
}

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

/**
 * A process that one contestant has for itself: its own heap, and its own compiled code, which a rival's objects can't
 * slow down. While it is not asked it does nothing.
 */
export class ContestantProcess {
  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
  ) {}

  /**
   * Starts one.
   *
   * @param module which compiled file it runs, seen from dist/test/bench
   * @param args what the file finds in `process.argv`
   */
  static async start(
    name: string,
    module: string,
    args: readonly string[],
    { nodeOptions = [], core }: ProcessOptions = {},
  ): Promise<ContestantProcess> {
    const file = join(import.meta.dirname, '..', module);
    const node = { file: process.execPath, args: ['--expose-gc', ...nodeOptions, file, ...args] };
    const command = core === undefined ? node : onCore(core, node);
    // Firestore's client asks for Google's own network otherwise.
    const env = { ...process.env, NODE_ENV: 'production', METADATA_SERVER_DETECTION: 'none' };
    const child = spawn(command.file, command.args, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const started = new ContestantProcess(name, child);
    await started.#answer();
    return started;
  }

  /** Asks what the function given to `answerQuestions` in that process answers. Rejects with what it throws. */
  async ask<T>(question: unknown): Promise<T> {
    const answer = this.#answer();
    this.child.send({ question });
    return (await answer) as T;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      this.child.once('exit', resolve);
    });
    this.child.kill();
    await ended;
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`${this.name} ended with ${code}.`));
      this.child.once('exit', onExit);
      this.child.once('message', ({ value, error }: Answer) => {
        this.child.off('exit', onExit);
        if (error === undefined) resolve(value);
        else reject(new Error(`${this.name}: ${error}`));
      });
    });
  }
}

/** Runs `use` with all of these processes, and stops them. */
export async function withProcesses<T>(
  starting: readonly Promise<ContestantProcess>[],
  use: (processes: ContestantProcess[]) => Promise<T>,
): Promise<T> {
  const settled = await Promise.allSettled(starting);
  const started = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  try {
    return await use(await Promise.all(starting));
  } finally {
    await Promise.all(started.map((process) => process.stop()));
  }
}
