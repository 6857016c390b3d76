/** Which files a worker may run: checks a path from the configuration before it is loaded. */
import { realpathSync, statSync, type Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { sep } from 'node:path';
import { TsgiError } from '../errors.ts';
import type { ScriptSet } from '../ipc/messages.ts';

const WORLD_WRITABLE = 0o002;

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
    return realpathSync(script);
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
      return [realpathSync(root)];
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

/**
 * Checks a script before it is run: named by the configuration, a regular file, owned by root or
 * by our user, not writable by everyone.
 * @returns its real path.
 * @throws TsgiError 0601–0606 with the HTTP status for a client.
 */
export function resolveScript(script: string, scripts: ScriptSet): string {
  const path = resolveLinks(script);
  checkNamed(script, path, scripts);
  const stats = statSync(path);
  if (!stats.isFile()) throw new TsgiError(603, { script, kind: kindOf(stats) });
  if (stats.uid !== 0 && stats.uid !== process.getuid?.()) {
    throw new TsgiError(604, { script, uid: stats.uid, user: userName() });
  }
  if ((stats.mode & WORLD_WRITABLE) !== 0) {
    throw new TsgiError(605, { script, mode: (stats.mode & 0o7777).toString(8) });
  }
  return path;
}
