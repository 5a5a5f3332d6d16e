import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerProcess } from './server-process.js';
import { until } from './until.js';

const execute = promisify(execFile);

/** A Postgres of one's own: one process that listens, and another for each connection. */
export class PostgresProcess {
  private runs = true;

  constructor(private readonly server: ServerProcess) {}

  /** The TCP port it listens on, on 127.0.0.1. The same after a restart. */
  get port(): number {
    return this.server.port;
  }

  /** What clients connect to, with user and password. The same after a restart. */
  get url(): string {
    return this.server.url;
  }

  /** Where its data and its unix socket lie. */
  get folder(): string {
    return this.server.place.folder;
  }

  /** Ends all its processes at once, as a crash of the machine does, and resolves when they are gone. */
  async kill(): Promise<void> {
    // A parent that stands still makes no more of them, for clients who come just now.
    if (this.runs) await this.server.freeze();
    const children = await this.children();
    this.runs = false;
    await this.server.kill();
    // They end by themselves some time after their parent; while one is there Postgres does not start again.
    for (const pid of children) signal(pid, 'SIGKILL');
    await until('all processes of Postgres are gone', async () => !children.some(isThere));
  }

  /** Stops the execution of all its processes: connections stay open and get no answer. */
  async freeze(): Promise<void> {
    await this.server.freeze();
    for (const pid of await this.children()) signal(pid, 'SIGSTOP');
  }

  /** Lets it go on after `freeze`. */
  async thaw(): Promise<void> {
    for (const pid of await this.children()) signal(pid, 'SIGCONT');
    await this.server.thaw();
  }

  /** Kills it if it runs, and starts it again on the same port with the same data. */
  async restart(): Promise<void> {
    await this.kill();
    await this.server.restart();
    this.runs = true;
  }

  /** Ends it, and removes its data. A second time does nothing. */
  async stop(): Promise<void> {
    if (this.runs) {
      await this.thaw();
      // Fast; on SIGTERM it would wait until the last client has gone.
      signal(await this.pid(), 'SIGINT');
      this.runs = false;
    }
    await this.server.stop();
  }

  /** The number of the process that listens. Only while it runs: the file stays after a crash. */
  private async pid(): Promise<number> {
    const file = await readFile(join(this.folder, 'data/postmaster.pid'), 'utf8');
    return Number(file.split('\n')[0]);
  }

  private async children(): Promise<number[]> {
    if (!this.runs) return [];
    const parent = await this.pid();
    const { stdout } = await execute('ps', ['-A', '-o', 'pid=,ppid=']);
    const processes = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
    return processes.flatMap(([pid, itsParent]) => (pid && itsParent === parent ? [pid] : []));
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  if (isThere(pid)) process.kill(pid, name);
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}
