import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { debianProgram } from './debian-archive.js';
import { findFirst } from './find-first.js';
import {
  addMemcachedFact,
  launchMemcached,
  withMemcachedVersion,
  type MemcachedProgram,
} from './memcached.server.js';
import { commandLine, type Program } from './program.js';
import type { ServerProcess } from './server-process.js';
import { serverUser } from './server-user.js';
import type { SetUp } from './set-up.js';
import type { Fact } from './tested-against.js';
import { makeTempFolder, writeTempFile } from './temp-folder.js';

/** Debian's memcached asks for users through its SASL library, which keeps them in a small database. */
const PACKAGES = { name: 'memcached-sasl', packages: ['memcached', 'sasl2-bin', 'libsasl2-modules'] };

/** What it takes to run a memcached that asks for a user. */
export interface SaslMemcached {
  readonly memcached: MemcachedProgram;
  /** The tool that adds a user. */
  readonly saslpasswd: Program;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** It is there inside `describeOn('memcached sasl', ...)`. */
    saslMemcached: SaslMemcached;
  }
}

/** From Debian's archive only: other builds lack SASL, or read their users from somewhere else. */
export const setUpMemcachedSasl: SetUp = async (provide) => {
  const look = async (): Promise<SaslMemcached> => {
    const memcached = await withMemcachedVersion(await debianProgram(PACKAGES, 'usr/bin/memcached'));
    return { memcached, saslpasswd: await debianProgram(PACKAGES, 'usr/sbin/saslpasswd2') };
  };
  const result = await findFirst([{ place: 'Debian archive', look }]);
  if ('found' in result) provide('saslMemcached', result.found);
  const facts: Fact[] = 'found' in result ? [] : [{ need: 'memcached sasl', missing: result.missing }];
  return { facts, stop: () => Promise.resolve() };
};

/** Starts a memcached that knows one user. Use it inside `describeOn('memcached sasl', ...)`, and `stop` it. */
export async function startMemcachedWithLogin(user: string, password: string): Promise<ServerProcess> {
  const { memcached, saslpasswd } = inject('saslMemcached');
  const started = performance.now();
  const folder = await makeTempFolder('sasl');
  const users = join(folder, 'users');
  const config = `mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: ${users}\n`;
  await writeTempFile(folder, 'memcached.conf', config);
  await run(inFolder(saslpasswd, folder), ['-a', 'memcached', '-c', '-p', '-f', users, user], password);
  const server = await launchMemcached(inFolder(memcached, folder), ['-S']);
  addMemcachedFact('memcached sasl', memcached, started);
  return server;
}

/** The program, with its SASL library reading the configuration in `folder`, and its plugins from beside itself. */
function inFolder(program: Program, folder: string): Program {
  const libraries = program.args[program.args.indexOf('--library-path') + 1] ?? '';
  const plugins = libraries.split(':').map((library) => join(library, 'sasl2'));
  const variables = [`SASL_PATH=${plugins.join(':')}`, `SASL_CONF_PATH=${folder}`];
  return { ...program, file: '/usr/bin/env', args: [...variables, program.file, ...program.args] };
}

async function run(program: Program, args: readonly string[], input: string): Promise<void> {
  const command = commandLine(program, args);
  const running = promisify(execFile)(command.file, command.args, {
    ...serverUser(),
    cwd: '/',
    timeout: 10_000,
  });
  running.child.stdin?.end(input);
  await running;
}
