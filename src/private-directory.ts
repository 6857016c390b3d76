/** Directories for compiled code: whoever else could write there could plant code. */
import { lstatSync, mkdirSync } from 'node:fs';

/**
 * Makes the directory if it is not there.
 * @returns why it is no safe place for compiled code, or undefined if it is one.
 */
export function whyUnsafe(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const stats = lstatSync(directory);
    if (!stats.isDirectory()) return 'is no directory';
    if (stats.uid !== process.getuid?.()) return `belongs to uid ${String(stats.uid)}`;
    if ((stats.mode & 0o077) !== 0) return `has mode ${(stats.mode & 0o7777).toString(8)}`;
    return undefined;
  } catch (error) {
    return `cannot be made: ${error instanceof Error ? error.message : String(error)}`;
  }
}
