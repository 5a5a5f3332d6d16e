/** Puts the modules that `nest build lib` compiled into few files: Node takes about half a millisecond to load each. */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { defineConfig } from 'rolldown';

const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, string | { default: string }>;
};
/** The entry points as they lie in dist/lib, such as `backends/redis.backend`. */
const entries = Object.values(exports)
  .filter((target) => typeof target === 'object')
  .map((target) => target.default.replace(/^\.\/dist\/lib\/(.+)\.js$/, '$1'));

export default defineConfig({
  input: Object.fromEntries(entries.map((entry) => [entry, `./dist/modules/${entry}.js`])),
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
  platform: 'node',
  output: {
    dir: 'dist/lib',
    chunkFileNames: '[name].js',
    // What two entry points need lies in one file, so that CacheBackend is the same class in all of them.
    codeSplitting: { groups: [{ name: 'shared', minShareCount: 2 }] },
    minify: false,
    minifyInternalExports: false,
    // Messages name classes.
    keepNames: true,
  },
});
