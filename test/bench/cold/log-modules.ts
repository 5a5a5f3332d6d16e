/** Preloaded with `--import`: at the end of a process, writes the files of all its modules to stderr. */
import { writeSync } from 'node:fs';
import Module, { register } from 'node:module';

// ES modules are seen by a hook, which runs in a thread of its own; CommonJS ones lie in a cache.
const hook = `
  import { writeSync } from 'node:fs';
  export async function load(url, context, next) {
    writeSync(2, url + '\\n');
    return next(url, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

process.on('exit', () => {
  const { _cache: cache } = Module as unknown as { _cache: Record<string, unknown> };
  writeSync(2, `${Object.keys(cache).join('\n')}\n`);
});
