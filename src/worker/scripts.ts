/** Which files a worker may run: checks a path from the configuration before it is loaded. */
import { realpathSync, statSync, type Stats } from 'node:fs';
import Module from 'node:module';
import { userInfo } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { TsgiError } from '../errors.ts';
import type { ScriptSet } from '../ipc/messages.ts';

const WORLD_WRITABLE = 0o002;

/** A file to run, and what belongs to it. */
export interface Entry {
  /** Its real path. */
  readonly path: string;
  /** Where an app starts that is given no home=: beside its file, or in the package that was named. */
  readonly directory: string;
  /**
   * Of a directory that was named: the files that decide what is loaded, by paths that go
   * through its name, so that a link that is switched shows in them.
   */
  readonly decisive: readonly string[];
}

interface ModuleInternals {
  _findPath(request: string, paths: null, isMain: boolean): string | false;
}
const internals = Module as unknown as ModuleInternals;

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}

/** Whether a file can be seen. existsSync() throws where Node's permission model forbids to look. */
export function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** @returns the user's name as errors show it. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${String(process.getuid?.())}`;
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

function resolveLinks(script: string): string {
  try {
    return realpathSync.native(script);
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '');
    if (missing) throw new TsgiError(601, { script }, { cause: error });
    throw new TsgiError(
      602,
      { script, user: userName(), reason: reasonOf(error) },
      { cause: error },
    );
  }
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}

/** A root that is not there allows nothing. */
function realRoots(roots: readonly string[]): string[] {
  return roots.flatMap((root) => {
    try {
      return [realpathSync.native(root)];
    } catch {
      return [];
    }
  });
}

/** @throws TsgiError 0606 if the configuration does not name the script. */
function checkNamed(script: string, path: string, scripts: ScriptSet): void {
  if (scripts.mode === 'exact') {
    if (scripts.paths.includes(script)) return;
    throw new TsgiError(606, { script, roots: scripts.paths.join(', ') });
  }
  if (realRoots(scripts.roots).some((root) => isBelow(path, root))) return;
  throw new TsgiError(606, { script, roots: scripts.roots.join(', ') });
}

/** @throws TsgiError 0603–0605 if a file may not decide what this user runs. */
function checkFile(script: string, stats: Stats): void {
  if (!stats.isFile()) throw new TsgiError(603, { script, kind: kindOf(stats) });
  if (stats.uid !== 0 && stats.uid !== process.getuid?.()) {
    throw new TsgiError(604, { script, uid: stats.uid, user: userName() });
  }
  if ((stats.mode & WORLD_WRITABLE) !== 0) {
    throw new TsgiError(605, { script, mode: (stats.mode & 0o7777).toString(8) });
  }
}

/** @returns what `node directory` would run. @throws TsgiError 0628 if that is nothing. */
function findMain(script: string, root: string): string {
  let reason = 'there is no package.json with a "main", and no index.js';
  try {
    const main = internals._findPath(root, null, true);
    if (main !== false) return main;
  } catch (error) {
    reason = reasonOf(error);
  }
  throw new TsgiError(628, { script, reason });
}

/** The entry of a package, as `node directory` finds it: "main" of its package.json, or index.js. */
function entryOfPackage(script: string, root: string): Entry {
  const manifest = join(root, 'package.json');
  if (isThere(manifest)) checkFile(join(script, 'package.json'), statSync(manifest));
  const main = findMain(script, root);
  const path = resolveLinks(main);
  checkFile(main, statSync(path));
  const below = relative(root, main);
  const shown = below.startsWith('..') ? main : join(script, below);
  return { path, directory: root, decisive: [join(script, 'package.json'), shown] };
}

/**
 * Checks a script before it is run: named by the configuration, a regular file, owned by root or
 * by our user, not writable by everyone. A directory that is named stands for its package's entry.
 * @throws TsgiError 0601–0606 or 0628, with the HTTP status for a client.
 */
export function resolveScript(script: string, scripts: ScriptSet): Entry {
  const path = resolveLinks(script);
  checkNamed(script, path, scripts);
  const stats = statSync(path);
  if (stats.isDirectory() && scripts.mode === 'exact') return entryOfPackage(script, path);
  checkFile(script, stats);
  return { path, directory: dirname(path), decisive: [] };
}
