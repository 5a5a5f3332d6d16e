import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binaryOnPath } from '../../servers/binary-on-path.js';
import { debianProgram } from '../../servers/debian-archive.js';
import { findFirst } from '../../servers/find-first.js';
import type { Program } from '../../servers/program.js';
import { onCore } from '../measure/cores.js';
import type { Rate } from '../measure/lanes.js';
import { packageFolder } from '../measure/versions.js';
import { ASKING_CORE } from './app.js';

const execute = promisify(execFile);

/** What asks an app for an address as fast as it answers, in a process of its own, and counts. */
export interface LoadGenerator {
  readonly name: string;
  readonly rate: (url: string, connections: number, seconds: number) => Promise<Rate>;
}

/** wrk, which takes the least of the machine; else autocannon. */
export async function findLoadGenerator(): Promise<LoadGenerator> {
  const found = await findFirst([
    { place: 'PATH', look: () => binaryOnPath(['wrk']) },
    { place: 'Debian archive', look: () => debianProgram({ name: 'wrk', packages: ['wrk'] }, 'usr/bin/wrk') },
  ]);
  if ('missing' in found) {
    console.log(`wrk is missing (${found.missing.join('; ')}), so autocannon asks.`);
    return autocannon;
  }
  return wrk(found.found);
}

function wrk(program: Program): LoadGenerator {
  const rate = async (url: string, connections: number, seconds: number): Promise<Rate> => {
    const options = ['--threads', '1', '--connections', String(connections), '--latency'];
    const args = [...program.args, ...options, '--duration', `${seconds}s`, url];
    const command = onCore(ASKING_CORE, { file: program.file, args });
    const { stdout } = await execute(command.file, command.args);
    if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`Not all requests were answered:\n${stdout}`);
    const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
    return { perSecond, p99Ms: milliseconds(/99%\s+([\d.]+\w+)/.exec(stdout)?.[1] ?? '') };
  };
  return { name: 'wrk', rate };
}

/** "850.00us", "1.20ms" or "2.00s", as wrk prints it. */
function milliseconds(text: string): number {
  const number = Number.parseFloat(text);
  if (text.endsWith('us')) return number / 1_000;
  return text.endsWith('ms') ? number : number * 1_000;
}

const autocannon: LoadGenerator = {
  name: 'autocannon',
  rate: async (url, connections, seconds) => {
    const program = join(packageFolder('autocannon'), 'autocannon.js');
    const options = [
      '--connections',
      String(connections),
      '--duration',
      String(seconds),
      '--json',
      '--no-progress',
    ];
    const command = onCore(ASKING_CORE, { file: process.execPath, args: [program, ...options, url] });
    const { stdout } = await execute(command.file, command.args);
    const printed: AutocannonResult = JSON.parse(stdout);
    if (printed.errors > 0 || printed.non2xx > 0)
      throw new Error(`Not all requests were answered:\n${stdout}`);
    return { perSecond: printed.requests.average, p99Ms: printed.latency.p99 };
  },
};

interface AutocannonResult {
  readonly errors: number;
  readonly non2xx: number;
  readonly requests: { readonly average: number };
  readonly latency: { readonly p99: number };
}
