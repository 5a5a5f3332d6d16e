import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { endProcessAtExit, forgetProcess } from '../servers/watchdog.js';

/** How a process ended. */
export interface Ended {
  /** Its exit code, or the signal that ended it: SIGKILL for one that had to be ended by force. */
  readonly exit: number | string;
  /** What it printed, both streams together. */
  readonly printed: string;
}

const LONGEST_RUN_MS = 240_000;
const PATIENCE_MS = 10_000;

/** A program that runs in the folder of an app, for four minutes at most. It ends with this process. */
export class AppProcess {
  /** Resolves when it has ended and everything that it printed is read. */
  readonly ended: Promise<Ended>;

  private readonly child: ChildProcess;
  private printed = '';

  constructor(folder: string, file: string, args: readonly string[]) {
    // A fresh app knows nothing of the tests' own environment.
    const { NODE_ENV: _, ...env } = process.env;
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const limit = { timeout: LONGEST_RUN_MS, killSignal: 'SIGKILL' } as const;
    const child = spawn(file, args, { cwd: folder, env, stdio, ...limit });
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (this.printed += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (this.printed += chunk));
    this.child = child;
    this.ended = this.untilEnd();
  }

  /** Resolves with the first match of `pattern` in what it prints; rejects when it ends without one. */
  async untilPrinted(pattern: RegExp): Promise<string> {
    const found = new Promise<string>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.printed);
        if (match) resolve(match[0]);
      };
      this.child.stdout?.on('data', look);
      look();
    });
    const end = this.ended.then(({ exit, printed }) => {
      throw new Error(`It ended (${exit}) and never printed ${pattern}. It printed: ${printed}`);
    });
    return Promise.race([found, end]);
  }

  /** Asks it to end (SIGTERM), and ends it by force (SIGKILL) if it has not done so after ten seconds. */
  async terminate(): Promise<Ended> {
    this.child.kill('SIGTERM');
    const byForce = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE_MS);
    const ended = await this.ended;
    clearTimeout(byForce);
    return ended;
  }

  private async untilEnd(): Promise<Ended> {
    const { child } = this;
    if (child.pid !== undefined) endProcessAtExit(child.pid);
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (child.pid !== undefined) forgetProcess(child.pid);
    return { exit: code ?? signal ?? 'unknown', printed: this.printed };
  }
}
