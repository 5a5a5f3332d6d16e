import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../servers/until.js';
import { endProcessAtExit, forgetProcess } from '../servers/watchdog.js';
import type { Answer, Message, Order } from './orders.js';

const execute = promisify(execFile);

/** Runs the sources as they are, without a build, as the specs are run. */
const SCRIPT = `
  import { runnerImport } from 'vite';
  const options = { configFile: false, logLevel: 'error', resolve: { tsconfigPaths: true } };
  await runnerImport(process.argv[1], options);
`;

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Another process that uses a cache, as it is told. It ends with this one. */
export class CacheUserProcess {
  private readonly waiting = new Map<number, Waiting>();
  private printed = '';
  private orders = 0;

  private constructor(private readonly child: ChildProcess) {
    const collect = (chunk: string): void => void (this.printed += chunk);
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
    child.on('message', (answer: Answer) => this.settle(answer));
    child.once('close', () => {
      if (child.pid !== undefined) forgetProcess(child.pid);
      for (const { reject } of this.waiting.values()) reject(new Error(`The process ended: ${this.printed}`));
    });
    if (child.pid !== undefined) endProcessAtExit(child.pid);
  }

  /**
   * Starts one, and resolves when it takes orders.
   *
   * @param backend its name in `REMOTE_BACKENDS`
   * @param address of its server
   */
  static async start(backend: string, address: string): Promise<CacheUserProcess> {
    const file = join(process.cwd(), 'test/processes/cache-user.ts');
    const args = ['--input-type=module', '--eval', SCRIPT, '--', file, backend, address];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const user = new CacheUserProcess(child);
    await new Promise((resolve, reject) => user.waiting.set(0, { resolve, reject }));
    return user;
  }

  /** Resolves with what it answers. Rejects when it fails, or ends before. */
  tell(order: Order): Promise<unknown> {
    const message: Message = { id: ++this.orders, order };
    return new Promise((resolve, reject) => {
      this.waiting.set(message.id, { resolve, reject });
      this.child.send(message);
    });
  }

  /** Resolves when its execution is stopped. */
  async untilItStandsStill(): Promise<void> {
    await until('the process stands still', async () => {
      const { stdout } = await execute('ps', ['-o', 'state=', '-p', String(this.child.pid)]);
      return stdout.trim().startsWith('T');
    });
  }

  /** Lets it go on after it stood still. */
  goOn(): void {
    this.child.kill('SIGCONT');
  }

  /** Ends it at once, whatever it does, and resolves when it is gone. A second time does nothing. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  private settle({ id, answer, error }: Answer): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }
}
