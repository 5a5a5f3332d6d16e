import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePorts } from './free-port.js';
import { commandLine, type Program } from './program.js';
import { serverUser } from './server-user.js';
import { makeTempFolder, removeTempFolder, writeTempFile } from './temp-folder.js';
import { endProcessAtExit, forgetProcess } from './watchdog.js';

/** What it takes to start a server. */
export interface Launch {
  /** A short name, part of the data folder's name and of messages. */
  readonly name: string;
  readonly program: Program;
  /** The program's arguments, which have to name at least the port. */
  readonly args: (place: Place) => readonly string[];
  /** Files to put into the data folder before the first start: their names and contents. Absent means none. */
  readonly files?: Readonly<Record<string, string>>;
  /** What the server prints once it is ready. Absent for one that says nothing: once it accepts connections. */
  readonly ready?: RegExp;
  /** What clients are given to connect to it. */
  readonly url: (port: number) => string;
}

/** Where a server is to be: all of it is free or empty when it starts for the first time. */
export interface Place {
  /** The TCP port for clients. */
  readonly port: number;
  /** A second port, for servers that talk to each other on one of their own. */
  readonly peerPort: number;
  /** The data folder. */
  readonly folder: string;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 3_000;
const ACCEPT_PAUSE_MS = 5;
/** So much of what a server prints is kept for messages, in characters. */
const LOG_LIMIT = 64 * 1024;

/**
 * A server of one's own, on 127.0.0.1, with an empty data folder, which a test may kill, freeze and start again.
 * It never runs as root, and ends with this process if nobody ended it before.
 */
export class ServerProcess {
  private child: ChildProcess | undefined;
  private container: string | undefined;
  private printed = '';
  private frozen = false;

  private constructor(
    private readonly launch: Launch,
    /** Where it is. The same after a restart. */
    readonly place: Place,
  ) {}

  /**
   * Starts a server and resolves once it is ready. Rejects, with what the server printed, when it ends before, is
   * not ready within 30 seconds, or does not accept connections then.
   */
  static async start(launch: Launch): Promise<ServerProcess> {
    for (let triesLeft = 4; ; triesLeft--) {
      const server = new ServerProcess(launch, await makePlace(launch));
      try {
        await server.run();
        return server;
      } catch (error) {
        await server.stop();
        // Between looking for a free port and taking it, somebody else may have taken it.
        if (triesLeft === 0 || !/address (is )?already in use/i.test(String(error))) throw error;
      }
    }
  }

  /** The TCP port it listens on, on 127.0.0.1. The same after a restart. */
  get port(): number {
    return this.place.port;
  }

  /** What clients connect to. The same after a restart. */
  get url(): string {
    return this.launch.url(this.port);
  }

  /** Ends it at once, as a crash does (SIGKILL), and resolves when it is gone. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const ended = once(child, 'exit');
    await this.signal('SIGKILL');
    await ended;
  }

  /** Stops its execution (SIGSTOP): connections stay open and get no answer. Resolves when it stands still. */
  async freeze(): Promise<void> {
    await this.signal('SIGSTOP');
    this.frozen = true;
    while (!(await this.standsStill())) await delay(1);
  }

  /** Lets a frozen server go on. */
  async thaw(): Promise<void> {
    await this.signal('SIGCONT');
    this.frozen = false;
  }

  /** Kills it if it runs, and starts it again on the same port with the same data folder. */
  async restart(): Promise<void> {
    await this.kill();
    await this.run();
  }

  /** Ends it in an orderly way, by force after three seconds, and removes its data. A second time does nothing. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child) {
      const ended = once(child, 'exit');
      if (this.frozen) await this.thaw();
      await this.signal('SIGTERM');
      const byForce = setTimeout(() => void this.signal('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(byForce);
    }
    await removeTempFolder(this.place.folder);
  }

  private async run(): Promise<void> {
    const { program, args, name } = this.launch;
    const container = { name: `cachekit-${name}-${randomUUID()}`, folder: this.place.folder };
    const command = commandLine(program, args(this.place), container);
    this.container = program.image ? container.name : undefined;
    this.printed = '';
    this.frozen = false;
    const child = spawn(command.file, command.args, {
      ...(program.image ? undefined : serverUser()),
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    if (child.pid !== undefined) endProcessAtExit(child.pid);
    child.once('exit', () => {
      if (child.pid !== undefined) forgetProcess(child.pid);
      if (this.child === child) this.child = undefined;
    });
    await this.untilReady(child);
    if (await accepts(this.port)) return;
    throw new Error(`${name} says it is ready, but ${this.url} does not answer.`);
  }

  private untilReady(child: ChildProcess): Promise<void> {
    const { name, ready } = this.launch;
    return new Promise((resolve, reject) => {
      const fail = (what: string): void =>
        reject(new Error(`${name} ${what}. It printed: ${this.printed.trim()}`));
      const timer = setTimeout(() => fail(`was not ready within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
      const succeed = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const collect = (chunk: string): void => {
        this.printed = (this.printed + chunk).slice(-LOG_LIMIT);
        if (ready?.test(this.printed)) succeed();
      };
      if (!ready) void this.untilAccepting(child, succeed);
      child.stdout?.setEncoding('utf8').on('data', collect);
      child.stderr?.setEncoding('utf8').on('data', collect);
      child.once('error', (error) => {
        clearTimeout(timer);
        if (child.pid === undefined) this.child = undefined;
        fail(`can't be started: ${error.message}`);
      });
      // "close", not "exit": only then has everything that it printed been read.
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        fail(`ended at once (${signal ?? `exit code ${code}`})`);
      });
    });
  }

  private async untilAccepting(child: ChildProcess, succeed: () => void): Promise<void> {
    while (this.child === child) {
      if (await accepts(this.port)) return succeed();
      await delay(ACCEPT_PAUSE_MS);
    }
  }

  private async signal(signal: NodeJS.Signals): Promise<void> {
    const { child, container } = this;
    if (!child) return;
    if (!container) {
      child.kill(signal);
      return;
    }
    await execute(this.launch.program.file, ['kill', `--signal=${signal}`, container]);
  }

  private async standsStill(): Promise<boolean> {
    const pid = this.child?.pid;
    if (pid === undefined || this.container || process.platform !== 'linux') return true;
    const status = await readFile(`/proc/${pid}/stat`, 'utf8');
    // "pid (name) state ...", and the name may hold blanks and brackets.
    return status.slice(status.lastIndexOf(')') + 2).startsWith('T');
  }
}

const execute = promisify(execFile);

async function makePlace({ name, files = {} }: Launch): Promise<Place> {
  const [port = 0, peerPort = 0] = await freePorts(2);
  const folder = await makeTempFolder(name);
  for (const [file, content] of Object.entries(files)) await writeTempFile(folder, file, content);
  return { port, peerPort, folder };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
