import { join, sep } from 'node:path';
import type { Plugin } from 'vite';
import { installNest11 } from './install.js';

const FOLDER = import.meta.dirname;
const PACKAGES = join(FOLDER, 'node_modules') + sep;

/**
 * Gives Nest 11 to the sources and the specs, whatever they import of Nest, and installs it when they first do. What
 * Nest's packages import is left to Node, which finds it beside them.
 */
export function nest11(): Plugin {
  let installed: Promise<void> | undefined;
  return {
    name: 'nest-11',
    enforce: 'pre',
    async resolveId(id) {
      if (!id.startsWith('@nestjs/')) return null;
      await (installed ??= installNest11());
      const found = await this.resolve(id, join(FOLDER, 'package.json'), { skipSelf: true });
      // What is not installed here is found further up, where Nest 12 is.
      if (found?.id.startsWith(PACKAGES)) return found;
      throw new Error(`Nest 11: there is no ${id} in ${PACKAGES}; add it to test/nest-11/package.json.`);
    },
  };
}
