/** What Node was told to run before the worker: by node-args=, or by NODE_OPTIONS of env= and env-file=. */

export interface Preload {
  /** `loader`: module hooks from a thread of their own, which an `import` may also register. */
  readonly kind: 'require' | 'import' | 'loader';
  /** A package, a file or a data: URL. */
  readonly specifier: string;
}

const KINDS: Readonly<Record<string, Preload['kind']>> = {
  '-r': 'require',
  '--require': 'require',
  '--import': 'import',
  '--loader': 'loader',
  '--experimental-loader': 'loader',
};

/** Packages whose purpose is to run TypeScript, wherever they stand in a specifier. */
const COMPILERS =
  /(^|[^\w-])(tsx|ts-node|@swc-node\/register|esbuild-register|@oxc-node\/core|jiti|@babel\/register)($|[^\w-])/;

/** Splits NODE_OPTIONS as Node does: by blanks, but for those in double quotes. */
function splitOptions(text: string): string[] {
  return (text.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? []).map((word) =>
    word.replaceAll(/"((?:[^"\\]|\\.)*)"/g, (_all, inner: string) =>
      inner.replaceAll(/\\(.)/g, '$1'),
    ),
  );
}

/** @returns in the order in which they stand. */
export function preloads(
  execArgv: readonly string[] = process.execArgv,
  nodeOptions = process.env['NODE_OPTIONS'] ?? '',
): Preload[] {
  const words = [...splitOptions(nodeOptions), ...execArgv];
  return words.flatMap((word, i) => {
    const at = word.startsWith('--') ? word.indexOf('=') : -1;
    const kind = KINDS[at === -1 ? word : word.slice(0, at)];
    const specifier = at === -1 ? words[i + 1] : word.slice(at + 1);
    return kind === undefined || specifier === undefined ? [] : [{ kind, specifier }];
  });
}

/** The operator has chosen who runs TypeScript; two compilers on top of each other would disagree. */
export function hasCompiler(list: readonly Preload[] = preloads()): boolean {
  return list.some(({ specifier }) => COMPILERS.test(specifier));
}
