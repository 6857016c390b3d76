// Copies a built tree to another place, with what it needs at run time and nothing else.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './prepare.mjs';

function readManifest(directory) {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
}

/** The directory of a package as Node finds it from a directory, or undefined. */
function findPackage(name, from) {
  for (let at = from; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (at === root) return undefined;
  }
}

/** The packages with everything they depend on, as directories. */
function closure(names) {
  const found = new Set();
  const visit = (name, from) => {
    const directory = findPackage(name, from);
    // Optional dependencies of other platforms are not installed.
    if (directory === undefined || found.has(directory)) return;
    found.add(directory);
    const { dependencies, optionalDependencies } = readManifest(directory);
    for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) {
      visit(dependency, directory);
    }
  };
  for (const name of names) visit(name, root);
  return [...found];
}

/**
 * Copies package.json, dist/ and the packages of "dependencies" to a directory.
 * @param {string} target
 * @param {{ directories?: string[], packages?: string[] }} [more] copied as well
 */
export function installTree(target, { directories = [], packages = [] } = {}) {
  const copy = (path) => {
    const to = join(target, relative(root, path));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to, { recursive: true, dereference: true });
  };
  ['package.json', 'dist', ...directories].forEach((name) => copy(join(root, name)));
  closure([...Object.keys(readManifest(root).dependencies), ...packages]).forEach(copy);
  // Whatever the umask and the clone's modes: others may read, nobody but the owner may write.
  spawnSync('chmod', ['-R', 'u+rwX,go+rX,go-w', target]);
}
