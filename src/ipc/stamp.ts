/** How supervisor and workers tell whether a file is still the same: by where it is, and by its stat. */
import { realpathSync, statSync, type BigIntStats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';

/** What a file is known by; empty where it is not there. */
export type Stamp = string;

/** A directory's own size and time tell that something in it came or went, not that it is another one. */
function format(stats: BigIntStats, path: string): Stamp {
  const { dev, ino, size, mtimeNs } = stats;
  const contents = stats.isDirectory() ? [] : [size, mtimeNs];
  return [dev, ino, ...contents, path].map(String).join(' ');
}

/** @returns the file's device, inode, size and time, and where it really lies. */
export async function stampOf(path: string): Promise<Stamp> {
  try {
    const [stats, real] = await Promise.all([stat(path, { bigint: true }), realpath(path)]);
    return format(stats, real);
  } catch {
    return '';
  }
}

/** The same, for a file that is about to be loaded. */
export function stampOfSync(path: string): Stamp {
  try {
    return format(statSync(path, { bigint: true }), realpathSync.native(path));
  } catch {
    return '';
  }
}
