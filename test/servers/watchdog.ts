import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/**
 * A shell that reads from a pipe which only this process holds. The pipe ends when this process does, by a normal
 * end, a signal, a crash or SIGKILL alike, so this one place replaces a handler for each of them, and is the only
 * way to hear of a SIGKILL. Then it ends what is still registered: SIGTERM first, so that a server can remove its
 * shared memory, SIGKILL two seconds later for those that are deaf.
 */
const SCRIPT = `
trap '' INT TERM HUP
pids=''
folders=''
alive() {
  for pid in $pids; do
    kill -0 "$pid" 2>/dev/null || continue
    # One that has ended waits for its new parent to notice, which in a container may be never.
    read -r status 2>/dev/null < "/proc/$pid/stat" || return 0
    case $status in *') Z '*) ;; *) return 0 ;; esac
  done
  return 1
}
remove_folders() {
  printf '%s' "$folders" | while IFS= read -r folder; do rm -rf -- "$folder"; done
}
while IFS=' ' read -r order what; do
  case $order in
    process) pids="$pids $what" ;;
    folder) folders="$folders$what
" ;;
    forget)
      rest=''
      for pid in $pids; do [ "$pid" = "$what" ] || rest="$rest $pid"; done
      pids=$rest ;;
  esac
done
if [ -n "$pids" ]; then
  kill -TERM $pids
  kill -CONT $pids
  tries=40
  while [ $tries -gt 0 ] && alive; do
    sleep 0.05
    tries=$((tries - 1))
  done
  kill -KILL $pids
fi 2>/dev/null
remove_folders
`;

let watchdog: ChildProcessByStdio<Writable, null, null> | undefined;

/** Ends the process `pid` when this process ends, in whatever way. */
export function endProcessAtExit(pid: number): void {
  tell(`process ${pid}`);
}

/** Takes back `endProcessAtExit`, since the process has ended: its number may soon be another's. */
export function forgetProcess(pid: number): void {
  tell(`forget ${pid}`);
}

/** Removes `folder` and what is in it when this process ends, in whatever way. One that is gone by then is fine. */
export function removeFolderAtExit(folder: string): void {
  if (folder.includes('\n'))
    throw new Error(`A folder for test data can't have a line break in its name: ${folder}`);
  tell(`folder ${folder}`);
}

function tell(order: string): void {
  watchdog ??= startWatchdog();
  watchdog.stdin.write(`${order}\n`);
}

function startWatchdog(): ChildProcessByStdio<Writable, null, null> {
  // A session of its own (`detached`), so that Ctrl-C and a kill of the whole process group don't reach it.
  const shell = spawn('/bin/sh', ['-c', SCRIPT], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.on('error', (error) => {
    throw new Error(
      `Test servers need /bin/sh to be stopped reliably, and it does not start: ${error.message}`,
    );
  });
  shell.unref();
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return shell;
}
