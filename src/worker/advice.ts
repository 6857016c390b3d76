/** What an app's own files ask for that it does not get here; said in the log, since it runs all the same. */
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorLine } from '../errors.ts';
import { isThere } from './scripts.ts';
import { compilerOptionInUse, nearestTsconfig } from './tsconfig.ts';
import type { Runner } from './typescript.ts';
import { satisfies } from './versions.ts';

/** The package.json that a file belongs to, as Node looks for it. */
function packageOf(directory: string): string | undefined {
  for (let at = directory; basename(at) !== 'node_modules'; at = dirname(at)) {
    const file = join(at, 'package.json');
    if (isThere(file)) return file;
    if (dirname(at) === at) return undefined;
  }
  return undefined;
}

function enginesOf(manifest: string): string | undefined {
  try {
    const parsed = JSON.parse(readFileSync(manifest, 'utf8')) as { engines?: { node?: unknown } };
    const range = parsed.engines?.node;
    return typeof range === 'string' ? range : undefined;
  } catch {
    return undefined; // Who needs it says better what is wrong with it.
  }
}

/** The package wants another version of Node. @returns a line for the log. */
export function adviseEngines(path: string, version = process.version): string | undefined {
  const manifest = packageOf(dirname(path));
  const range = manifest === undefined ? undefined : enginesOf(manifest);
  if (manifest === undefined || range === undefined) return undefined;
  if (satisfies(version, range) !== false) return undefined;
  return errorLine(627, { manifest, range, version });
}

/** The app is written for a compiler that describes decorated classes; esbuild, in tsx, does not. */
export function adviseDecorators(path: string, runner: Runner): string | undefined {
  const tsconfig = runner === 'tsx' ? nearestTsconfig(dirname(path)) : undefined;
  if (tsconfig === undefined) return undefined;
  const option = compilerOptionInUse(tsconfig, ['emitDecoratorMetadata']);
  return option === undefined ? undefined : errorLine(630, { script: path, tsconfig });
}
