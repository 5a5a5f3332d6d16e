import { FreshApp } from './fresh-app.js';

/** The TypeScript versions that the package's types are checked with. */
export type TypeScriptVersion = '5.9' | '6.0' | '7.0';

/** The compilers, in a folder of their own: an app has only what its users have. */
export class TypeScripts {
  private readonly home = new FreshApp('TypeScript', ['typescript']);

  install(): Promise<void> {
    return this.home.install();
  }

  /**
   * Compiles an app with several versions at the same time, each into `dist/<version>`, and answers what each of them
   * complained about: an empty text where it is content.
   *
   * @param project the tsconfig file
   * @param versions absent means all
   */
  async compile(
    app: FreshApp,
    project: string,
    versions: readonly TypeScriptVersion[] = ['5.9', '6.0', '7.0'],
  ): Promise<Record<string, string>> {
    const compile = async (version: TypeScriptVersion) => {
      const compiler = this.home.path('node_modules', `typescript-${version}`, 'bin', 'tsc');
      const { exit, printed } = await app.node(compiler, '-p', project, '--outDir', `dist/${version}`).ended;
      return [version, exit === 0 ? printed : `${printed}(exit ${exit})`] as const;
    };
    return Object.fromEntries(await Promise.all(versions.map(compile)));
  }
}
