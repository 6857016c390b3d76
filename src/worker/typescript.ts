/**
 * TypeScript entries: Node's own type stripping where it is on, tsx where it is not or where the
 * app needs more (enums, decorators, tsconfig paths, imports without extension).
 */
import { homedir } from 'node:os';
import { dirname, extname, isAbsolute, join } from 'node:path';
import { errorLine, TsgiError } from '../errors.ts';
import { whyUnsafe } from '../private-directory.ts';
import { hasCompiler } from './preloads.ts';
import { userName } from './scripts.ts';
import { compilerOptionInUse, nearestTsconfig } from './tsconfig.ts';

const EXTENSIONS = ['.ts', '.mts', '.cts', '.tsx'];

/** Who runs a file. */
export type Runner = 'node' | 'strip' | 'tsx';

export function isTypeScript(path: string): boolean {
  return EXTENSIONS.includes(extname(path));
}

/** Whether this Node strips types by itself. Node 20 has no such feature. */
export function stripsTypes(features: object = process.features): boolean {
  const value = (features as { typescript?: string | false }).typescript;
  return value === 'strip' || value === 'transform';
}

/** Chooses the runner of an entry before it is loaded. */
export function chooseRunner(
  path: string,
  forceTsx: boolean,
  canStrip = stripsTypes(),
  isCompiled = hasCompiler(),
): Runner {
  if (!isTypeScript(path) || isCompiled) return 'node';
  if (forceTsx || !canStrip || extname(path) === '.tsx') return 'tsx';
  const tsconfig = nearestTsconfig(dirname(path));
  const option = tsconfig === undefined ? undefined : compilerOptionInUse(tsconfig);
  return option === undefined ? 'strip' : 'tsx';
}

/**
 * @returns what the entry needs that type stripping does not do, told by how loading it failed;
 * undefined if the failure has another reason.
 */
export function missingFeature(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? String(error.code) : '';
  const { message } = error;
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return message.split('\n').at(-1) ?? message;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.[cm]?tsx?\b/.test(message)) return 'a .tsx file';
  // Types are stripped, decorators are not; a mistake of the author's is one for tsx as well.
  if (error instanceof SyntaxError && message === 'Invalid or unexpected token')
    return 'decorators';
  if (code === 'ERR_UNSUPPORTED_DIR_IMPORT') return 'an import of a directory';
  const isRelative = /Cannot find module '(\.|\/|file:)/.test(message);
  if ((code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && isRelative) {
    return 'an import whose file name is not written out';
  }
  if (error instanceof SyntaxError && message.includes('does not provide an export named')) {
    return 'an import of a type without the word `type`';
  }
  return undefined;
}

/**
 * tsx keeps compiled code in a directory whose name in the temp directory anybody can guess and
 * make first. It gets one of our user's own instead, or goes without.
 * @returns TMPDIR for tsx, or undefined: no cache.
 */
export function privateCache(
  environment: NodeJS.ProcessEnv,
  onUnsafe: (text: string) => void,
): string | undefined {
  const xdg = environment['XDG_CACHE_HOME'];
  const base =
    xdg !== undefined && isAbsolute(xdg) ? xdg : join(environment['HOME'] ?? homedir(), '.cache');
  const directory = join(base, 'mod-tsgi');
  const reason = whyUnsafe(directory);
  if (reason === undefined) return directory;
  onUnsafe(errorLine(620, { directory, reason, user: userName() }));
  return undefined;
}

/** Runs `action` with environment variables set, and puts them back. */
async function withEnvironment(
  values: Readonly<Record<string, string>>,
  action: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    await action();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  }
}

/**
 * Makes require() and import run TypeScript by tsx, which maps stack traces too.
 * @throws TsgiError 0614 if tsx is not installed.
 */
export async function registerTsx(script: string, onUnsafe: (text: string) => void): Promise<void> {
  const cache = process.env['TSX_DISABLE_CACHE'] ? undefined : privateCache(process.env, onUnsafe);
  // tsx reads both when it is loaded.
  const values: Record<string, string> =
    cache === undefined ? { TSX_DISABLE_CACHE: '1' } : { TMPDIR: cache };
  await withEnvironment(values, async () => {
    try {
      // Imported, not required: the CommonJS build of tsx/esm/api looks for its hooks in a wrong place.
      const [commonJs, modules] = await Promise.all([import('tsx/cjs/api'), import('tsx/esm/api')]);
      commonJs.register();
      modules.register();
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      throw new TsgiError(614, { script, version: process.version, reason }, { cause: error });
    }
  });
}
