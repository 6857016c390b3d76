/**
 * The files that patterns of `watch=` name now. Known are `*` and `?` within a name, and `**` for
 * any number of directories. As in a shell, names that begin with a dot are only found by a pattern
 * that says so; `**` also passes by `node_modules` and symbolic links to directories.
 */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Directories and names that one look may come past, for all patterns together. */
export const MAX_ENTRIES = 20_000;

/** Counts what is looked at; when it is spent the look ends early. */
export interface Budget {
  left: number;
}

/** The pattern names more than one file. */
export function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}

/** @returns the expression for one name of a pattern. */
function expressionOf(name: string): RegExp {
  const source = name
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replace(/\*+/g, '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`, 's');
}

async function list(directory: string, budget: Budget): Promise<Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    budget.left -= entries.length + 1;
    return budget.left < 0 ? [] : entries;
  } catch {
    return []; // Not there, no directory, not to be read: nothing in it matches.
  }
}

function isPassedBy({ name }: Dirent): boolean {
  return name.startsWith('.') || name === 'node_modules';
}

async function expandDeep(
  directory: string,
  rest: readonly string[],
  found: Set<string>,
  budget: Budget,
): Promise<void> {
  await expand(directory, rest.length > 0 ? rest : ['*'], found, budget);
  for (const entry of await list(directory, budget)) {
    if (!entry.isDirectory() || isPassedBy(entry)) continue;
    await expandDeep(join(directory, entry.name), rest, found, budget);
  }
}

async function expand(
  directory: string,
  names: readonly string[],
  found: Set<string>,
  budget: Budget,
): Promise<void> {
  const [name = '', ...rest] = names;
  if (name === '**') {
    await expandDeep(directory, rest, found, budget);
    return;
  }
  if (!isPattern(name)) {
    const path = join(directory, name);
    if (rest.length > 0) await expand(path, rest, found, budget);
    else found.add(path);
    return;
  }
  const expression = expressionOf(name);
  for (const entry of await list(directory, budget)) {
    if (!expression.test(entry.name)) continue;
    if (entry.name.startsWith('.') && !name.startsWith('.')) continue;
    const path = join(directory, entry.name);
    if (rest.length > 0) await expand(path, rest, found, budget);
    else if (!entry.isDirectory()) found.add(path);
  }
}

/**
 * @param pattern absolute, or relative to `home`.
 * @returns paths of files that match; for one without `*` and `?`, its own path, there or not.
 */
export async function filesOf(pattern: string, home: string, budget: Budget): Promise<Set<string>> {
  const found = new Set<string>();
  const names = resolve(home, pattern).split('/').filter(Boolean);
  await expand('/', names, found, budget);
  return found;
}
