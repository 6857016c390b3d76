/** Looks into the tsconfig.json that governs a TypeScript entry, for what only a compiler can do. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isThere } from './scripts.ts';

/** Options that change what the program does at run time; type stripping knows none of them. */
const NEEDED = ['paths', 'experimentalDecorators', 'emitDecoratorMetadata', 'jsx'] as const;

/** How many files `extends` may lead through. */
const MAX_DEPTH = 8;

type Json = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

/** JSON with comments and trailing commas, as TypeScript reads it. */
export function parseJsonc(text: string): unknown {
  const tokens = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  const bare = text
    .replace(/^\uFEFF/, '')
    .replace(tokens, (token) => (token.startsWith('"') ? token : ' '));
  const commas = /"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])/g;
  return JSON.parse(bare.replace(commas, (token) => (token === ',' ? '' : token)));
}

/** @returns the nearest tsconfig.json at or above a directory. */
export function nearestTsconfig(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const file = join(at, 'tsconfig.json');
    if (isThere(file)) return file;
    if (dirname(at) === at) return undefined;
  }
}

function resolveExtends(from: string, name: string): string | undefined {
  if (name.startsWith('.') || isAbsolute(name)) {
    const path = resolve(dirname(from), name);
    return [path, `${path}.json`].find(isThere);
  }
  const require = createRequire(from);
  for (const candidate of [name, `${name}/tsconfig.json`]) {
    try {
      return require.resolve(candidate);
    } catch {
      // The next form may be found; a base that is not there changes nothing for us.
    }
  }
  return undefined;
}

/**
 * @param names options of which one is looked for; those that need a compiler.
 * @returns the first of them that is in use, or undefined. A file that cannot be read
 * or parsed uses none: the tool that is meant for it will say what is wrong.
 */
export function compilerOptionInUse(
  file: string,
  names: readonly string[] = NEEDED,
  depth = 0,
): string | undefined {
  let config: Json;
  try {
    config = asObject(parseJsonc(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
  const options = asObject(config['compilerOptions']);
  const own = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (own !== undefined || depth >= MAX_DEPTH) return own;
  const bases: unknown[] = [config['extends']].flat();
  for (const base of bases) {
    const path = typeof base === 'string' ? resolveExtends(file, base) : undefined;
    const inherited = path === undefined ? undefined : compilerOptionInUse(path, names, depth + 1);
    if (inherited !== undefined) return inherited;
  }
  return undefined;
}
